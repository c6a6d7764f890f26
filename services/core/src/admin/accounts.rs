//! Accounts and programs by command.

use bus::Outbox;
use db::Tx;

use super::{Failure, ProgramArgs, ProgramKind, Role, UserArgs, UserKind};
use crate::domain::changes::Changes;
use crate::domain::program::{self, NewProgram};
use crate::domain::user::{Kind, NewUser, email as email_of};
use crate::ops::create_user::create_user;
use crate::ops::update_user::update_user;
use crate::store::tokens::{self, Holder};
use crate::store::{api_clients, staff_roles, users};

/// Makes the account or brings it to what is said; tells what was done.
pub(super) async fn user(tx: &Tx, outbox: &Outbox, args: &UserArgs) -> Result<String, Failure> {
    must_be_id(&args.id)?;
    if args
        .email
        .as_deref()
        .is_some_and(|email| email_of(email).is_none())
    {
        return Err(Failure("that is no e-mail address".to_owned()));
    }
    let kind = kind(args.kind);
    if kind == Kind::Client && !args.roles.is_empty() {
        return Err(Failure("roles are for staff".to_owned()));
    }
    let done = match users::lock(tx, &args.id, None).await? {
        None => {
            let user = NewUser {
                username: args.username.clone(),
                email: args.email.clone(),
                display_name: args.display_name.clone(),
                ..NewUser::bare(&args.id, kind)
            };
            create_user(tx, outbox, &user).await?;
            "made"
        }
        Some(found) if found.kind == kind => {
            let changes = Changes {
                username: args.username.clone().map(Some),
                email: args.email.clone().map(Some),
                display_name: args.display_name.clone().map(Some),
                ..Changes::default()
            };
            update_user(tx, outbox, &args.id, found, changes).await?;
            "up to date"
        }
        Some(found) => {
            return Err(Failure(format!(
                "account {} is a {} account",
                args.id,
                found.kind.as_str()
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
    if !api_clients::register(tx, &program).await? {
        return Err(Failure(format!("program {} is of another kind", args.id)));
    }
    if !program.scopes.is_empty() {
        // Tokens keep the scopes that they were made with.
        tokens::revoke_of(tx, Holder::Program(&args.id)).await?;
    }
    Ok(())
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
