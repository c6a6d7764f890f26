//! The table of who may call what, read from its file.

use std::collections::BTreeSet;

use common::PrincipalKind;

/// The file, as it stands beside this one.
const TABLE: &str = include_str!("table.txt");
/// The services, in the order in which they refer to each other.
pub(crate) const SERVICES: [&str; 5] = ["core", "social", "risk", "reco", "causal"];

/// What one route is to whom.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) service: &'static str,
    pub(crate) method: String,
    /// The path with its parameters in braces.
    pub(crate) path: String,
    pub(crate) who: Who,
    /// What a caller gets who may, for the own client.
    pub(crate) granted: u16,
    /// What the same caller gets for a stranger's.
    pub(crate) hidden: u16,
    /// What the same caller gets for one who is not there.
    pub(crate) absent: u16,
    pub(crate) body: Option<String>,
}

/// Who may.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Who {
    /// Everybody, also without a token.
    Everybody,
    /// Every good token.
    EveryToken,
    /// Whoever has a proof that is no bearer token of ours.
    OwnProof,
    /// Those of these letters.
    Named(BTreeSet<char>),
}

impl Who {
    /// Those, as OpenAPI names them. Staff without a role are no principal of their own.
    pub(crate) fn words(&self) -> BTreeSet<&'static str> {
        match self {
            Self::Everybody | Self::OwnProof => BTreeSet::from(["everybody"]),
            Self::EveryToken => PrincipalKind::ALL.iter().map(|kind| kind.as_str()).collect(),
            Self::Named(letters) => letters.iter().filter_map(|letter| word(*letter)).collect(),
        }
    }
}

fn word(letter: char) -> Option<&'static str> {
    let kind = match letter {
        'S' => PrincipalKind::Client,
        'A' => PrincipalKind::App,
        'C' => PrincipalKind::Counselor,
        'O' => PrincipalKind::Oncall,
        'V' => PrincipalKind::Supervisor,
        'M' => PrincipalKind::Admin,
        'U' => PrincipalKind::Auditor,
        'P' => PrincipalKind::Pipeline,
        'R' => PrincipalKind::Service,
        'N' => return None,
        other => panic!("no letter of the table: {other}"),
    };
    Some(kind.as_str())
}

impl Row {
    /// `GET /v1/me`.
    pub(crate) fn route(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether the route is about one client, so that it matters whose.
    pub(crate) fn is_about_somebody(&self) -> bool {
        let text = format!("{} {}", self.path, self.body.as_deref().unwrap_or_default());
        crate::world::OF_A_CLIENT.iter().any(|name| text.contains(name))
    }
}

/// Every row, those of every service once for each.
pub(crate) fn rows() -> Vec<Row> {
    TABLE
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .flat_map(parse)
        .collect()
}

fn parse(line: &'static str) -> Vec<Row> {
    let fields: Vec<&str> = line.splitn(5, '|').map(str::trim).collect();
    let [service, route, who, answers, body] = fields[..] else {
        panic!("five fields: {line}");
    };
    let (method, path) = route.split_once(' ').expect("a method and a path");
    let answers: Vec<u16> = answers
        .split('/')
        .map(|status| status.parse().expect("a status"))
        .collect();
    let hidden = answers.get(1).copied().unwrap_or(404);
    let who = match who {
        "*" => Who::Everybody,
        "K" => Who::EveryToken,
        "own" => Who::OwnProof,
        named => Who::Named(named.chars().filter(|letter| *letter != ' ').collect()),
    };
    SERVICES
        .into_iter()
        .filter(|name| service == "*" || service == *name)
        .map(|service| Row {
            service,
            method: method.to_owned(),
            path: path.to_owned(),
            who: who.clone(),
            granted: answers[0],
            hidden,
            absent: answers.get(2).copied().unwrap_or(hidden),
            body: (!body.is_empty()).then(|| body.to_owned()),
        })
        .collect()
}
