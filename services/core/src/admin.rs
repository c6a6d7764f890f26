//! The operator's commands: accounts, programs and tokens, made with the service's own database URL. Each is one
//! transaction, with the events that follow from it.

mod accounts;
pub mod audit;
mod demo;
mod erasures;
mod models;
mod passwords;
mod tokens;

use std::io;
use std::path::PathBuf;

use bus::Outbox;
use clap::{Args, Subcommand, ValueEnum};
use config::Env;
use db::Db;
use secrecy::SecretString;
use service::Settings;
use web::{ErasureKey, Named};

use crate::config::VARIABLES;
use crate::domain::program;
use crate::error::Error;
use crate::store::tokens::Holder;
use crate::store::{sign_in_failures, totp_secrets};

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
    /// Give a person a password, read from standard input: it must not stand in the shell's history. Their sign-ins end.
    Password(PersonArgs),
    /// Let a person whose account is locked try to sign in again.
    Unlock(PersonArgs),
    /// Ask a member of staff for codes no more, who has lost the authenticator app and the codes on paper.
    ForgetTotp(PersonArgs),
    /// Take embeddings of another model, and say the statement that makes its index.
    AddEmbeddingModel(models::ModelArgs),
    /// Who leaves.
    #[command(flatten)]
    Erasures(erasures::Command),
    /// Development only: make one principal of each kind and write a token of each to a file that only its owner
    /// can read, and how its people sign in to sign-ins.json beside it. What still works of the files is kept.
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
    /// A name that nobody else has; who signs in gives the e-mail address.
    #[arg(long)]
    username: Option<String>,
    /// The address by which the person signs in.
    #[arg(long)]
    email: Option<String>,
    /// What dashboards show.
    #[arg(long)]
    display_name: Option<String>,
    /// What a staff user may do; give it several times. Where it is given, roles that are not named are taken away.
    #[arg(long = "role")]
    roles: Vec<Role>,
}

/// A person.
#[derive(Args, Clone, Debug)]
pub struct PersonArgs {
    /// Whose.
    #[arg(long)]
    user: String,
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

/// Whom or what a command is about, as the audit names it.
pub(crate) fn about(holder: Holder<'_>) -> Named<'_> {
    match holder {
        // The audit asks no more of a person than that it is one.
        Holder::User(id) => Named::new(web::Holder::Client, id),
        Holder::Program(id) => Named::new(web::Holder::Service, id),
    }
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

impl Command {
    /// What the audit calls a command that is one transaction, and whom it is about.
    fn on_record(&self) -> (&'static str, Option<Holder<'_>>) {
        match self {
            Self::User(args) => ("admin user", Some(Holder::User(&args.id))),
            Self::Program(args) => ("admin program", Some(Holder::Program(&args.id))),
            Self::Token(args) => ("admin token", Some(args.holder.holder())),
            Self::Revoke(args) => ("admin revoke", args.holder()),
            Self::Password(args) => ("admin password", Some(Holder::User(&args.user))),
            Self::Unlock(args) => ("admin unlock", Some(Holder::User(&args.user))),
            Self::ForgetTotp(args) => ("admin forget-totp", Some(Holder::User(&args.user))),
            Self::AddEmbeddingModel(_) => ("admin add-embedding-model", None),
            // Each of them leaves rows of its own.
            Self::Erasures(_) => ("admin", None),
            Self::DemoCredentials { .. } => ("admin demo-credentials", None),
        }
    }
}

/// Runs a command with the database that the environment names, on standard input and output.
pub(crate) async fn main(command: Command, mut env: Env) -> Result<(), Box<dyn std::error::Error>> {
    let url = database_url(&mut env);
    let erasure_key = match &command {
        Command::Erasures(_) => Settings::read_erasure_key(&mut env).map(Some),
        Command::User(_)
        | Command::Program(_)
        | Command::Token(_)
        | Command::Revoke(_)
        | Command::Password(_)
        | Command::Unlock(_)
        | Command::ForgetTotp(_)
        | Command::AddEmbeddingModel(_)
        | Command::DemoCredentials { .. } => Some(None),
    };
    let (url, erasure_key) = env.finish(|| Some((url?, erasure_key?)))?;
    let erasure_key = erasure_key.as_ref().map(ErasureKey::new).transpose()?;
    let db = connect(url)?;
    Ok(run(
        &command,
        &db,
        erasure_key.as_ref(),
        &mut io::BufReader::new(io::stdin()),
        &mut io::stdout(),
    )
    .await?)
}

/// The database of the service's login role; `None` where a fault was recorded.
fn database_url(env: &mut Env) -> Option<SecretString> {
    let names = [VARIABLES.database_url, "RECOVERLY_DATABASE_URL"];
    env.first_of(&names, "Postgres URL of the service's login role")
}

/// One connection of each kind is enough for a command.
fn connect(url: SecretString) -> Result<Db, db::Error> {
    let settings = db::Settings {
        url,
        schema: VARIABLES.name,
        people_connections_max: 1,
        server_threads: 1,
        worker_connections_max: 1,
        session_parameters: Vec::new(),
    };
    Db::new(&settings)
}

/// Runs a command on core's database; those about erasures need their key.
///
/// # Errors
/// In words for the operator; nothing is then kept.
pub async fn run(
    command: &Command,
    db: &Db,
    erasure_key: Option<&ErasureKey>,
    input: &mut (dyn io::BufRead + Send),
    out: &mut (dyn io::Write + Send),
) -> Result<(), Failure> {
    if let Command::Erasures(command) = command {
        let no_key = || Failure("the key of the erasures is not given".to_owned());
        return erasures::run(command, db, erasure_key.ok_or_else(no_key)?, input, out).await;
    }
    let outbox = Outbox::new(db.schema());
    if let Command::Password(args) = command {
        passwords::set(db, &args.user, input).await?;
        return Ok(writeln!(out, "{} has a new password", args.user)?);
    }
    let tx = db.begin_worker().await?;
    let (action, holder) = command.on_record();
    web::by_operator(&tx, action, holder.map(about));
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
        // They ran above, in transactions of their own.
        Command::Password(_) | Command::Erasures(_) => {}
        Command::Unlock(args) => {
            let forgotten = sign_in_failures::forget(&tx, &args.user).await?;
            tx.commit().await?;
            writeln!(
                out,
                "{forgotten} counts of failures of {} are forgotten",
                args.user
            )?;
        }
        Command::ForgetTotp(args) => {
            let forgotten = totp_secrets::forget(&tx, &args.user).await?;
            tx.commit().await?;
            let done = if forgotten { "is no longer" } else { "was not" };
            writeln!(out, "{} {done} asked for codes", args.user)?;
        }
        Command::AddEmbeddingModel(args) => models::run(tx, args, out).await?,
        Command::DemoCredentials { file } => {
            let credentials = demo::prepare(&tx, &outbox, file).await?;
            tx.commit().await?;
            demo::write(file, &credentials)?;
            writeln!(out, "{} credentials are in {}", credentials.len(), file.display())?;
            let beside = demo::let_sign_in(db, file).await?;
            writeln!(out, "how people sign in is in {}", beside.display())?;
        }
    }
    Ok(())
}
