//! The authorization matrix: every route of every service, called by every kind of principal and by nobody, about the own
//! client, a stranger's, and one who is not there. What is expected stands in `table.txt`, not in the code.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod table;
mod world;

use std::collections::BTreeSet;

use futures::StreamExt;
use reqwest::Method;

use table::{Row, Who, rows};
use world::{CALLERS, Caller, NOBODY, OTHER, Reach, World, own_client, reached_stranger, shows_the_other};

/// Cells at a time.
const AT_ONCE: usize = 8;
/// The matrix has at least so many cells.
const MIN_CELLS: usize = 2_000;

/// Whom a call is about.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Own,
    Other,
    Absent,
}

/// One call and what is expected of it.
#[derive(Clone, Debug)]
struct Cell {
    row: Row,
    caller: Caller,
    target: Target,
    expected: u16,
}

impl Cell {
    /// Whether the call is let through, and so may change something.
    fn is_granted(&self) -> bool {
        self.expected == self.row.granted && self.expected < 400
    }

    fn client(&self) -> Option<String> {
        match self.target {
            Target::Own => Some(own_client(&self.row, &self.caller)),
            Target::Other if self.is_granted() => Some(reached_stranger(&self.row, &self.caller)),
            Target::Other => Some(OTHER.to_owned()),
            Target::Absent => None,
        }
    }
}

fn expected(row: &Row, caller: &Caller, target: Target) -> u16 {
    let is_nobody = caller.name == NOBODY.name || caller.name == "suspended";
    let named = match &row.who {
        Who::Everybody | Who::OwnProof => return row.granted,
        Who::EveryToken => true,
        Who::Named(letters) => letters.contains(&caller.letter),
    };
    let reaches = match (caller.reach, target) {
        (Reach::Own | Reach::Everybody, Target::Own) | (Reach::Everybody, Target::Other) => true,
        (_, Target::Absent) | (Reach::Own, Target::Other) | (Reach::Nobody, _) => false,
    };
    match (is_nobody, named) {
        (true, _) => 401,
        (false, false) => 403,
        (false, true) if reaches || !row.is_about_somebody() => row.granted,
        (false, true) if target == Target::Absent => row.absent,
        (false, true) => row.hidden,
    }
}

fn cells(rows: &[Row]) -> Vec<Cell> {
    let mut cells = Vec::new();
    for row in rows {
        let targets: &[Target] = if row.is_about_somebody() {
            &[Target::Own, Target::Other, Target::Absent]
        } else {
            &[Target::Own]
        };
        for caller in CALLERS.iter().chain([&NOBODY]) {
            cells.extend(targets.iter().map(|target| Cell {
                row: row.clone(),
                caller: *caller,
                target: *target,
                expected: expected(row, caller, *target),
            }));
        }
    }
    cells
}

/// Everybody whom a cell is about.
fn clients(cells: &[Cell]) -> Vec<String> {
    let about: BTreeSet<String> = cells.iter().filter_map(Cell::client).collect();
    about.into_iter().filter(|client| client != OTHER).collect()
}

/// Calls; what is wrong with the answer, if anything is.
async fn call(world: &World, cell: &Cell) -> Option<String> {
    let client = cell.client();
    let about = client.as_deref();
    let path = world.filled(&cell.row.path, about);
    let body = cell.row.body.as_deref().map(|body| world.filled(body, about));
    let method = Method::from_bytes(cell.row.method.as_bytes()).unwrap();
    let caller = world.client(cell, about);
    let answer = caller.send(method, &path, body.map(String::into_bytes)).await;
    let text = String::from_utf8_lossy(&answer.bytes).into_owned();
    let sees_the_other =
        cell.is_granted() && (cell.caller.reach == Reach::Everybody || cell.target == Target::Other);
    let leak = (shows_the_other(&text) && !sees_the_other && !path.contains(OTHER))
        .then_some(" and shows a stranger's client");
    if answer.code() == cell.expected && leak.is_none() {
        return None;
    }
    Some(format!(
        "{} {} as {} about {:?}: {} instead of {}{}",
        cell.row.service,
        cell.row.route(),
        cell.caller.name,
        cell.target,
        answer.code(),
        cell.expected,
        leak.unwrap_or_default(),
    ))
}

/// Those that must change nothing first, then one by one those that may.
async fn differences(world: &World, cells: Vec<Cell>) -> Vec<String> {
    let (granted, refused): (Vec<Cell>, Vec<Cell>) = cells.into_iter().partition(Cell::is_granted);
    let mut found = Vec::new();
    for (cells, at_once) in [(refused, AT_ONCE), (granted, 1)] {
        let calls = futures::stream::iter(&cells).map(|cell| call(world, cell));
        let answers: Vec<_> = calls.buffered(at_once).collect().await;
        found.extend(answers.into_iter().flatten());
    }
    found
}

#[tokio::test]
async fn every_caller_gets_of_every_route_what_the_table_says_and_no_more() {
    let cells = cells(&rows());
    let count = cells.len();
    assert!(count >= MIN_CELLS, "{count} cells");
    let world = World::with_clients(&clients(&cells)).await;
    let found = differences(&world, cells).await;
    assert!(
        found.is_empty(),
        "{} of {count} cells differ:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn every_route_has_a_row_and_every_row_a_route() {
    let mut served = BTreeSet::new();
    for (service, document) in World::documents() {
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                served.insert(format!("{service} {} {path}", method.to_uppercase()));
            }
        }
    }
    let listed: BTreeSet<String> = rows()
        .iter()
        .map(|row| format!("{} {}", row.service, row.route()))
        .collect();
    let without_row: Vec<_> = served.difference(&listed).collect();
    let without_route: Vec<_> = listed.difference(&served).collect();
    assert!(
        without_row.is_empty() && without_route.is_empty(),
        "no row: {without_row:#?}, no route: {without_route:#?}"
    );
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    for (service, document) in World::documents() {
        let mut known = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let name = operation["operationId"].as_str().unwrap();
                assert!(known.insert(name.to_owned()), "{service} {method} {path}: {name}");
            }
        }
    }
}

#[test]
fn every_route_declares_those_whom_the_table_names() {
    for (service, document) in World::documents() {
        for row in rows().iter().filter(|row| row.service == service) {
            let operation = &document["paths"][&row.path][row.method.to_lowercase()];
            let declared: BTreeSet<&str> = operation["x-principals"]
                .as_array()
                .unwrap_or_else(|| panic!("{service} {}: no x-principals", row.route()))
                .iter()
                .map(|word| word.as_str().unwrap())
                .collect();
            assert_eq!(declared, row.who.words(), "{service} {}", row.route());
        }
    }
}

#[tokio::test]
async fn without_a_row_policy_the_same_cells_find_a_leak() {
    let rows: Vec<Row> = rows()
        .into_iter()
        .filter(|row| row.path.contains("/nudges"))
        .collect();
    let cells = cells(&rows);
    let world = World::with_clients(&clients(&cells)).await;
    let owner = world.database.superuser().await;
    owner
        .run("drop policy visible on social.nudges; create policy visible on social.nudges using (true)")
        .await;
    let found = differences(&world, cells).await;
    assert!(
        found
            .iter()
            .any(|difference| difference
                .contains("GET /v1/nudges/{nudge_id} as other_person about Other: 200")),
        "{found:#?}"
    );
}
