//! `recoverly-<name> serve | migrate …`: the command line of every service.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use config::Env;
use db::migrate::{self, Files, Migrations};
use futures::future::BoxFuture;
use include_dir::Dir;
use telemetry::Metrics;
use tokio::signal::unix::{SignalKind, signal};
use utoipa::openapi::OpenApi;

use crate::{Service, Settings, Variables};

/// Why a command failed, in words for the person who typed it.
type Failure = Box<dyn std::error::Error>;

/// A service's program, with commands `C` and settings `S` of its own.
pub struct Program<C, S = ()> {
    /// Its settings' names.
    pub variables: Variables,
    /// What it is, in a sentence.
    pub about: &'static str,
    /// Its migrations, built in.
    pub migrations: &'static Dir<'static>,
    /// What it serves, as OpenAPI.
    pub openapi: fn() -> OpenApi,
    /// Reads its own settings; `None` where a fault was recorded.
    pub own_settings: fn(&mut Env) -> Option<S>,
    /// Starts it.
    pub start: fn(Settings, S, Metrics) -> BoxFuture<'static, Result<Service, Failure>>,
    /// Runs a command of its own.
    pub command: fn(C, Env) -> BoxFuture<'static, Result<(), Failure>>,
}

/// For programs without commands of their own.
#[derive(Debug, Subcommand)]
pub enum NoCommand {}

#[derive(Parser)]
struct Cli<C: Subcommand> {
    #[command(subcommand)]
    command: Command<C>,
}

#[derive(Subcommand)]
enum Command<C: Subcommand> {
    /// Serve the API, publish and consume events, and run the jobs, until SIGTERM or SIGINT.
    Serve,
    /// Change the schema, as the owner role that RECOVERLY_OWNER_DATABASE_URL names.
    #[command(subcommand)]
    Migrate(migrate::Command),
    /// Print the OpenAPI document that is served at /openapi.json.
    Openapi,
    #[command(flatten)]
    Own(C),
}

/// Reads the command line and runs what it says.
pub async fn main<C: Subcommand, S>(program: Program<C, S>) -> ExitCode {
    let name = program.variables.program;
    let command = Cli::<C>::command()
        .name(name)
        .about(program.about)
        .version(env!("CARGO_PKG_VERSION"))
        .after_help(variables_help(&program));
    let cli = match Cli::<C>::from_arg_matches(&command.get_matches()) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match run(cli.command, program).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run<C: Subcommand, S>(command: Command<C>, program: Program<C, S>) -> Result<(), Failure> {
    let mut env = Env::from_process();
    match command {
        Command::Serve => serve(env, program).await,
        Command::Migrate(command) => {
            let owner = env.secret(
                "RECOVERLY_OWNER_DATABASE_URL",
                1,
                "Postgres URL of the owner role",
            );
            let owner = env.finish(|| owner)?;
            let migrations = Migrations::load(&Files::Embedded(program.migrations))?;
            let schema = program.variables.name;
            Ok(migrate::run(&command, schema, &migrations, &owner, &mut std::io::stdout()).await?)
        }
        Command::Openapi => Ok(writeln!(
            std::io::stdout(),
            "{}",
            (program.openapi)().to_pretty_json()?
        )?),
        Command::Own(command) => (program.command)(command, env).await,
    }
}

async fn serve<C, S>(mut env: Env, program: Program<C, S>) -> Result<(), Failure> {
    let settings = Settings::read(&mut env, program.variables);
    let own = (program.own_settings)(&mut env);
    let (mut settings, own) = env.finish(|| settings.zip(own))?;
    let telemetry = telemetry::init(&settings.telemetry)?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stopped = async {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    };
    tokio::pin!(stopped);
    let migrations = Migrations::load(&Files::Embedded(program.migrations))?;
    settings.schema_version_min = migrations.latest_version();
    let foundation = crate::Foundation::new(&settings)?;
    tokio::select! {
        checked = foundation.check_schema(&migrations) => checked?,
        _ = &mut stopped => return Ok(()),
    }
    drop(foundation);
    let service = (program.start)(settings, own, telemetry.metrics()).await?;
    let reason = stopped.await;
    tracing::info!(
        reason,
        "stopping: no new requests, then no new events, then the outbox"
    );
    service.stop().await;
    tracing::info!("stopped");
    // Exporters flush on threads of their own and block while they do.
    tokio::task::spawn_blocking(move || telemetry.shutdown()).await?;
    Ok(())
}

/// The variables of `serve`, found by reading them from nothing.
fn variables_help<C, S>(program: &Program<C, S>) -> String {
    let mut env = Env::from_pairs(&[]);
    let _ = Settings::read(&mut env, program.variables);
    let _ = (program.own_settings)(&mut env);
    let mut help = String::from("Environment:\n");
    for variable in env.described() {
        let default = match (&variable.default, variable.required) {
            (Some(default), _) => format!(" [{default}]"),
            (None, true) => " [required]".to_owned(),
            (None, false) => String::new(),
        };
        let _ = writeln!(help, "  {:<36} {}{default}", variable.name, variable.help);
    }
    help
}
