//! Accounts and programs by command.

use bus::Outbox;
use db::Tx;

use super::{Failure, ProgramArgs, ProgramKind, Role, UserArgs, UserKind};
use crate::domain::program::{self, NewProgram};
use crate::domain::user::{Kind, NewUser};
use crate::ops::create_user::create_user;
use crate::store::{api_clients, staff_roles, users};

/// Makes the account or brings it to what is said; tells what was done.
pub(super) async fn user(tx: &Tx, outbox: &Outbox, args: &UserArgs) -> Result<String, Failure> {
    must_be_id(&args.id)?;
    let kind = kind(args.kind);
    if kind == Kind::Client && !args.roles.is_empty() {
        return Err(Failure("roles are for staff".to_owned()));
    }
    let done = match users::hold(tx, &[&args.id]).await?.get(&args.id) {
        None => {
            let user = NewUser {
                username: args.username.clone(),
                display_name: args.display_name.clone(),
                ..NewUser::bare(&args.id, kind)
            };
            create_user(tx, outbox, &user).await?;
            "made"
        }
        Some(found) if *found == kind => {
            users::rename(
                tx,
                &args.id,
                args.username.as_deref(),
                args.display_name.as_deref(),
            )
            .await?;
            "up to date"
        }
        Some(found) => {
            return Err(Failure(format!(
                "account {} is a {} account",
                args.id,
                found.as_str()
            )));
        }
    };
    if !args.roles.is_empty() {
        let roles: Vec<&str> = args.roles.iter().map(|role| role_word(*role)).collect();
        staff_roles::replace(tx, &args.id, &roles).await?;
    }
    Ok(format!("{} account {} is {done}", kind.as_str(), args.id))
}

/// Registers the program or renames it.
pub(super) async fn program(tx: &Tx, args: &ProgramArgs) -> Result<(), Failure> {
    must_be_id(&args.id)?;
    let program = NewProgram {
        client_id: args.id.clone(),
        kind: match args.kind {
            ProgramKind::App => program::Kind::App,
            ProgramKind::Pipeline => program::Kind::Pipeline,
            ProgramKind::Service => program::Kind::Service,
        },
        name: args.name.clone(),
        scopes: args.scopes.clone(),
    };
    if api_clients::register(tx, &program).await? {
        Ok(())
    } else {
        Err(Failure(format!("program {} is of another kind", args.id)))
    }
}

fn kind(given: UserKind) -> Kind {
    match given {
        UserKind::Client => Kind::Client,
        UserKind::Staff => Kind::Staff,
    }
}

fn role_word(role: Role) -> &'static str {
    match role {
        Role::Counselor => "counselor",
        Role::Oncall => "oncall",
        Role::Supervisor => "supervisor",
        Role::Admin => "admin",
        Role::Auditor => "auditor",
    }
}

/// The same rule that the tables check, said before they do.
fn must_be_id(id: &str) -> Result<(), Failure> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    if (1..=255).contains(&id.len()) && id.bytes().all(allowed) {
        Ok(())
    } else {
        Err(Failure("an id is 1 to 255 letters, digits, _ or -".to_owned()))
    }
}
