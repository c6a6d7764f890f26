//! Principals and tokens for development: one of each kind, and how its people sign in.

mod sign_ins;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bus::Outbox;
use db::{Db, Tx};
use serde::Serialize;
use serde_json::{Value, json};

use super::{DEFAULT_TTL_DAYS, Failure, ProgramArgs, ProgramKind, Role, UserArgs, UserKind, accounts};
use crate::domain::token::Token;
use crate::store::tokens::{self, Holder};

/// Its owner reads and writes, nobody else.
const FILE_MODE: u32 = 0o600;
/// A file of credentials is smaller, in bytes; a larger one is something else.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// The file of sign-ins, beside that of tokens.
const SIGN_INS_FILE: &str = "sign-ins.json";

/// Name in the file, account, role.
const STAFF: [(&str, &str, Role); 6] = [
    ("admin", "staff-admin", Role::Admin),
    ("supervisor", "staff-supervisor", Role::Supervisor),
    ("counselor", "staff-counselor", Role::Counselor),
    ("counselor_other", "staff-counselor-other", Role::Counselor),
    ("oncall", "staff-oncall", Role::Oncall),
    ("auditor", "staff-auditor", Role::Auditor),
];
/// Name in the file, program, kind.
const PROGRAMS: [(&str, &str, ProgramKind); 2] = [
    ("app", "companion-app", ProgramKind::App),
    ("pipeline", "vader-pipeline", ProgramKind::Pipeline),
];
/// Name in the file, account.
const CLIENT: (&str, &str) = ("client", "client-001");

/// What stands in the file: name → token and holder.
pub(super) type Credentials = BTreeMap<&'static str, Value>;

/// Makes the principals, and a token for each whose token in the file does not work.
pub(super) async fn prepare(tx: &Tx, outbox: &Outbox, file: &Path) -> Result<Credentials, Failure> {
    for (_, id, role) in STAFF {
        accounts::user(tx, outbox, &account(id, UserKind::Staff, vec![role])).await?;
    }
    for (_, id, kind) in PROGRAMS {
        accounts::program(
            tx,
            &ProgramArgs {
                id: id.to_owned(),
                kind,
                name: id.to_owned(),
                scopes: Vec::new(),
            },
        )
        .await?;
    }
    accounts::user(tx, outbox, &account(CLIENT.1, UserKind::Client, Vec::new())).await?;
    let people = STAFF.map(|(name, id, _)| (name, Holder::User(id)));
    let programs = PROGRAMS.map(|(name, id, _)| (name, Holder::Program(id)));
    let holders = people
        .into_iter()
        .chain(programs)
        .chain([(CLIENT.0, Holder::User(CLIENT.1))]);
    let kept = working(tx, &read(file)).await?;
    let mut credentials = Credentials::new();
    for (name, holder) in holders {
        let (field, id) = match holder {
            Holder::User(id) => ("user_id", id),
            Holder::Program(id) => ("client_id", id),
        };
        let token = match kept
            .iter()
            .find(|(token, owner)| *token.0 == *name && owner == id)
        {
            Some((token, _)) => token.1.clone(),
            None => super::tokens::issue(tx, holder, DEFAULT_TTL_DAYS, &[])
                .await?
                .reveal()
                .to_owned(),
        };
        credentials.insert(name, json!({ "token": token, (field): id }));
    }
    Ok(credentials)
}

/// Gives the people passwords, and writes how they sign in to a file beside the other; says where.
pub(super) async fn let_sign_in(db: &Db, file: &Path) -> Result<PathBuf, Failure> {
    let people: Vec<(&str, &str)> = STAFF
        .iter()
        .map(|(name, id, _)| (*name, *id))
        .chain([CLIENT])
        .collect();
    let beside = file.with_file_name(SIGN_INS_FILE);
    let sign_ins = sign_ins::prepare(db, &people, &entries(&beside)).await?;
    write(&beside, &sign_ins)?;
    Ok(beside)
}

/// Writes the file beside its place and then moves it there: nobody reads a half-written one.
pub(super) fn write(file: &Path, credentials: &impl Serialize) -> Result<(), Failure> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut draft = file.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let text = serde_json::to_string_pretty(credentials).map_err(|error| Failure(error.to_string()))?;
    let mut open = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(&draft)?;
    let written = writeln!(open, "{text}").and_then(|()| fs::rename(&draft, file));
    if written.is_err() {
        fs::remove_file(&draft).ok();
    }
    Ok(written?)
}

/// The entries of a file that an earlier run wrote, by name; none where it is absent or something else.
fn entries(file: &Path) -> BTreeMap<String, Value> {
    if fs::metadata(file).map_or(true, |found| found.len() > MAX_FILE_BYTES) {
        return BTreeMap::new();
    }
    fs::read(file)
        .ok()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default()
}

/// The tokens of such a file, by name.
fn read(file: &Path) -> Vec<(String, String)> {
    let token = |entry: &Value| entry.get("token").and_then(Value::as_str).map(str::to_owned);
    entries(file)
        .into_iter()
        .filter_map(|(name, entry)| Some((name, token(&entry)?)))
        .collect()
}

/// Those of the tokens that work, each with its holder's id.
async fn working(tx: &Tx, found: &[(String, String)]) -> Result<Vec<((String, String), String)>, Failure> {
    let hashes: Vec<Vec<u8>> = found
        .iter()
        .map(|(_, token)| Token::given(token).hash())
        .collect();
    let holders = tokens::holders(tx, &hashes).await?;
    let of = |hash: &[u8]| {
        holders
            .iter()
            .find(|(known, _)| known == hash)
            .map(|(_, id)| id.clone())
    };
    Ok(found
        .iter()
        .zip(&hashes)
        .filter_map(|(entry, hash)| Some((entry.clone(), of(hash)?)))
        .collect())
}

/// By what the demo's people sign in.
fn email(id: &str) -> String {
    format!("{id}@demo.example")
}

fn account(id: &str, kind: UserKind, roles: Vec<Role>) -> UserArgs {
    UserArgs {
        id: id.to_owned(),
        kind,
        username: Some(id.to_owned()),
        email: Some(email(id)),
        display_name: Some(id.to_owned()),
        roles,
    }
}
