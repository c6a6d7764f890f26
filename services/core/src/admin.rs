//! The operator's commands: accounts, programs and tokens, made with the service's own database URL. Each is one
//! transaction, with the events that follow from it.

mod accounts;
mod demo;
mod tokens;

use std::io;
use std::path::PathBuf;

use bus::Outbox;
use clap::{Args, Subcommand, ValueEnum};
use config::Env;
use db::Db;

use crate::config::VARIABLES;
use crate::domain::program;
use crate::error::Error;

/// No token of ours lasts longer.
const MAX_TTL_DAYS: i64 = 90;
/// How long a token lasts where nobody says.
const DEFAULT_TTL_DAYS: i32 = 30;

/// What an operator can do.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Make an account, or give it other names and roles.
    User(UserArgs),
    /// Register a program that calls the API, or rename it.
    Program(ProgramArgs),
    /// Make a token and print it, once: only its hash is stored.
    Token(TokenArgs),
    /// Revoke every token of a holder, or one token. All services refuse it at once.
    Revoke(RevokeArgs),
    /// Development only: make one principal of each kind and write a token of each to a file that only its owner
    /// can read. Tokens of the file that still work are kept.
    DemoCredentials {
        /// The file to write.
        #[arg(long)]
        file: PathBuf,
    },
}

/// An account.
#[derive(Args, Clone, Debug)]
pub struct UserArgs {
    /// 1 to 255 letters, digits, _ or -.
    #[arg(long)]
    id: String,
    /// Whose account it is; it never changes.
    #[arg(long)]
    kind: UserKind,
    /// Sign-in name.
    #[arg(long)]
    username: Option<String>,
    /// What dashboards show.
    #[arg(long)]
    display_name: Option<String>,
    /// What a staff user may do; give it several times. Where it is given, roles that are not named are taken away.
    #[arg(long = "role")]
    roles: Vec<Role>,
}

/// Whose account it is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum UserKind {
    /// A person in recovery.
    Client,
    /// A member of staff.
    Staff,
}

/// What a staff user may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Role {
    /// Cares for the clients of the own caseload.
    Counselor,
    /// Answers escalations.
    Oncall,
    /// Answers for a team.
    Supervisor,
    /// Accounts, assignments and policies.
    Admin,
    /// Audit records.
    Auditor,
}

/// A program.
#[derive(Args, Clone, Debug)]
pub struct ProgramArgs {
    /// 1 to 255 letters, digits, _ or -.
    #[arg(long)]
    id: String,
    /// What it is; it never changes.
    #[arg(long)]
    kind: ProgramKind,
    /// What operators call it.
    #[arg(long)]
    name: String,
    /// What its tokens are limited to, such as messages:read; give it several times. Without any, those that it has
    /// stay; a new program may then do all that its kind may.
    #[arg(long = "scope", value_parser = scope)]
    scopes: Vec<String>,
}

/// What a program is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ProgramKind {
    /// The backend of the client-facing app.
    App,
    /// A machine-learning pipeline.
    Pipeline,
    /// One of the services.
    Service,
}

/// A token's holder and life.
#[derive(Args, Clone, Debug)]
pub struct TokenArgs {
    #[command(flatten)]
    holder: HolderArgs,
    /// How many days it works.
    #[arg(long, default_value_t = DEFAULT_TTL_DAYS, value_parser = clap::value_parser!(i32).range(1..=MAX_TTL_DAYS))]
    ttl_days: i32,
    /// What it is limited to, such as messages:read; give it several times. Without any it may do all that its holder
    /// may.
    #[arg(long = "scope", value_parser = scope)]
    scopes: Vec<String>,
    /// Print a JSON object instead of the token alone.
    #[arg(long)]
    json: bool,
}

/// Whose token.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct HolderArgs {
    /// A person's.
    #[arg(long)]
    user: Option<String>,
    /// A program's.
    #[arg(long)]
    program: Option<String>,
}

/// Which tokens.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub struct RevokeArgs {
    /// All of a person.
    #[arg(long)]
    user: Option<String>,
    /// All of a program.
    #[arg(long)]
    program: Option<String>,
    /// The one that is read from standard input: it must not stand in the shell's history.
    #[arg(long)]
    token_stdin: bool,
}

fn scope(word: &str) -> Result<String, &'static str> {
    program::scope(word).ok_or("it is the scope of no route")
}

/// A command that failed, in words for the operator.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(String);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let Error::Taken(field) = error else {
            return Self(error.to_string());
        };
        Self(format!("another account has this {field}"))
    }
}

impl From<db::Error> for Failure {
    fn from(error: db::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self(error.to_string())
    }
}

/// Runs a command with the database that the environment names, on standard input and output.
pub(crate) async fn main(command: Command, mut env: Env) -> Result<(), Box<dyn std::error::Error>> {
    let names = [VARIABLES.database_url, "RECOVERLY_DATABASE_URL"];
    let url = env.first_of(&names, "Postgres URL of the service's login role");
    let url = env.finish(|| url)?;
    let settings = db::Settings {
        url,
        schema: VARIABLES.name,
        people_connections_max: 1,
        server_threads: 1,
        worker_connections_max: 1,
    };
    let db = Db::new(&settings)?;
    Ok(run(
        &command,
        &db,
        &mut io::BufReader::new(io::stdin()),
        &mut io::stdout(),
    )
    .await?)
}

/// Runs a command on core's database.
///
/// # Errors
/// In words for the operator; nothing is then kept.
pub async fn run(
    command: &Command,
    db: &Db,
    input: &mut (dyn io::BufRead + Send),
    out: &mut (dyn io::Write + Send),
) -> Result<(), Failure> {
    let outbox = Outbox::new(db.schema());
    let tx = db.begin_worker().await?;
    match command {
        Command::User(args) => {
            let done = accounts::user(&tx, &outbox, args).await?;
            tx.commit().await?;
            writeln!(out, "{done}")?;
        }
        Command::Program(args) => {
            accounts::program(&tx, args).await?;
            tx.commit().await?;
            writeln!(out, "program {} is registered", args.id)?;
        }
        Command::Token(args) => {
            let issued = tokens::issue(&tx, args.holder.holder(), args.ttl_days, &args.scopes).await?;
            tx.commit().await?;
            writeln!(
                out,
                "{}",
                if args.json {
                    issued.to_json().to_string()
                } else {
                    issued.reveal().to_owned()
                }
            )?;
        }
        Command::Revoke(args) => {
            let revoked = tokens::revoke(&tx, args, input).await?;
            tx.commit().await?;
            writeln!(out, "{revoked} revoked")?;
        }
        Command::DemoCredentials { file } => {
            let credentials = demo::prepare(&tx, &outbox, file).await?;
            tx.commit().await?;
            demo::write(file, &credentials)?;
            writeln!(out, "{} credentials are in {}", credentials.len(), file.display())?;
        }
    }
    Ok(())
}
