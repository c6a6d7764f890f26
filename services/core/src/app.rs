//! The core service put together: server, consumer, relay, and the operator's commands.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Subcommand;
use futures::future::BoxFuture;
use include_dir::{Dir, include_dir};
use seal::Cipher;
use secrecy::SecretString;
use service::{Definition, Foundation, Job, Program, Service, Settings, StartError};
use telemetry::Metrics;
use tokio::sync::Semaphore;
use web::Readiness;

use crate::anchor::Anchor;
use crate::clerk::Clerk;
use crate::config::{Config, MailConfig, SearchConfig};
use crate::domain::seal::SealKey;
use crate::error::Error;
use crate::hasher::Hasher;
use crate::models::Models;
use crate::queues::Queues;
use crate::resets::{Resets, Resetter};
use crate::short_term::ShortTerm;
use crate::state::{FACE_SEARCHES_PER_MINUTE, MAX_EXPORTS_AT_WORK, State};
use crate::touched::Touched;
use crate::{admin, config, events, jobs, routes};

static MIGRATIONS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../migrations/core");

/// How often each job runs.
const SEAL_EVERY: Duration = Duration::from_secs(10);
/// Where tokens go, every service forgets those it remembers: not too often.
const FORGET_SIGN_INS_EVERY: Duration = Duration::from_secs(3_600);
/// A face whose consent has run out is found by no search meanwhile.
const FORGET_FACES_EVERY: Duration = Duration::from_secs(3_600);
const FORGET_WINDOWS_EVERY: Duration = Duration::from_secs(60);
const PARTITIONS_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
const TOUCH_MEMORIES_EVERY: Duration = Duration::from_secs(5);
const PRUNE_MEMORIES_EVERY: Duration = Duration::from_secs(10 * 60);
const END_TERMS_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// What `main` runs.
pub const PROGRAM: Program<Command, Config> = Program {
    variables: config::VARIABLES,
    about: "Recoverly core: accounts, caseloads, messages, and the leases by which pipelines take them to score",
    migrations: &MIGRATIONS,
    openapi: routes::openapi,
    settings: Config::read,
    start: |settings, config, metrics| Box::pin(async move { Ok(start(&settings, config, metrics)?) }),
    command: |command, env| match command {
        Command::Admin(command) => Box::pin(admin::main(command, env)),
        Command::VerifyAudit => Box::pin(admin::audit::main(env)),
        Command::RebuildAnchor => Box::pin(admin::audit::rebuild_main(env)),
    },
};

/// What the program does besides serving and migrating.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Accounts, programs and tokens, by the operator who has the service's database URL.
    #[command(subcommand)]
    Admin(admin::Command),
    /// Hold the audit against its seals, and the seals against their copy outside Postgres; fails where they differ.
    VerifyAudit,
    /// Append to the audit's copy outside Postgres every seal that it lacks at its end, after it was lost or moved aside.
    RebuildAnchor,
}

/// Starts the service.
///
/// # Errors
/// When the address is taken or a setting is none.
pub fn start(settings: &Settings, config: Config, metrics: Metrics) -> Result<Service, StartError> {
    let foundation = Foundation::new(&searching(settings, &config.search))?;
    let seal_key = SealKey::new(&config.audit.key).ok_or(StartError::Key("RECOVERLY_AUDIT_KEY"))?;
    let short_term = ShortTerm::new(config.short_term).map_err(|_| StartError::Url("RECOVERLY_REDIS_URL"))?;
    let (resets, readiness) = resets(config.mail, &foundation);
    let readiness = watched(readiness, &short_term);
    let state = State {
        db: foundation.db.clone(),
        outbox: foundation.outbox.clone(),
        hasher: Hasher::new(),
        queues: Queues::default(),
        resets,
        cipher: cipher(config.totp_key.as_ref())?,
        seal_key,
        anchor: Anchor::new(config.audit.anchor),
        throttle_key: settings.cursor_key.clone(),
        erasures: service::erasure_key(settings)?,
        exports: Arc::new(Semaphore::new(MAX_EXPORTS_AT_WORK)),
        max_export: config.max_export,
        clerk: Clerk::new(&config.clerk),
        short_term: short_term.clone(),
        face_searches: web::Pace::per_minute(FACE_SEARCHES_PER_MINUTE),
        models: Models::default(),
        touched: Touched::default(),
        search: config.search,
        task_memories_per_user: config.task_memories_per_user,
        message_days: config.terms.message_days,
    };
    let state = Arc::new(state);
    let definition = Definition {
        about: routes::ABOUT,
        routes: routes::all,
        handlers: Box::new(events::handlers),
        jobs: jobs(&state),
        terms: config.terms.terms(),
        state,
        readiness,
    };
    Service::start(settings, foundation, definition, metrics)
}

/// The settings with what searches want of a session.
fn searching(settings: &Settings, search: &SearchConfig) -> Settings {
    let mut settings = settings.clone();
    let parameters = &mut settings.database.session_parameters;
    parameters.extend(search.session_parameters());
    settings
}

/// Each job by the name that logs and tests call it.
fn jobs(state: &Arc<State>) -> Vec<Job> {
    vec![
        job("seal", SEAL_EVERY, state, |state| {
            Box::pin(async move { jobs::seal::round(&state).await })
        }),
        job("partitions", PARTITIONS_EVERY, state, |state| {
            Box::pin(async move { jobs::partitions::round(&state).await })
        }),
        job("end_terms", END_TERMS_EVERY, state, |state| {
            Box::pin(async move { jobs::end_terms::round(&state).await })
        }),
        job("forget_windows", FORGET_WINDOWS_EVERY, state, |state| {
            Box::pin(async move { jobs::forget_windows::round(&state).await })
        }),
        job("forget_sign_ins", FORGET_SIGN_INS_EVERY, state, |state| {
            Box::pin(async move { jobs::forget_sign_ins::round(&state).await })
        }),
        job("forget_faces", FORGET_FACES_EVERY, state, |state| {
            Box::pin(async move { jobs::forget_faces::round(&state).await })
        }),
        job("touch_memories", TOUCH_MEMORIES_EVERY, state, |state| {
            Box::pin(async move { jobs::touch_memories::round(&state).await })
        }),
        job("prune_memories", PRUNE_MEMORIES_EVERY, state, |state| {
            Box::pin(async move { jobs::prune_memories::round(&state).await })
        }),
    ]
}

/// Short-term memory is not needed to be ready.
fn watched(readiness: Readiness, short_term: &ShortTerm) -> Readiness {
    let short_term = short_term.clone();
    readiness.watch("redis", move || {
        let short_term = short_term.clone();
        async move { short_term.ping().await }
    })
}

fn job(
    name: &'static str,
    every: Duration,
    state: &Arc<State>,
    round: fn(Arc<State>) -> BoxFuture<'static, Result<u64, Error>>,
) -> Job {
    let state = Arc::clone(state);
    Job::new(name, every, move || round(Arc::clone(&state)))
}

fn cipher(key: Option<&SecretString>) -> Result<Option<Arc<Cipher>>, StartError> {
    let cipher = key.map(Cipher::new).transpose();
    Ok(cipher
        .map_err(|_| StartError::Key("RECOVERLY_TOTP_KEY"))?
        .map(Arc::new))
}

/// The queue of forgotten passwords, and what readiness shows of mail: it is not needed to be ready.
fn resets(mail: Option<MailConfig>, foundation: &Foundation) -> (Resets, Readiness) {
    let Some(mail) = mail else {
        let readiness = Readiness::new().watch("mail", || async { Err::<(), _>("not configured") });
        return (Resets::none(), readiness);
    };
    let works = Arc::new(AtomicBool::new(true));
    let (resets, resetting) = Resets::to(Resetter {
        db: foundation.db.clone(),
        mailer: mail.mailer,
        page: mail.page,
        works: Arc::clone(&works),
    });
    #[expect(
        clippy::disallowed_methods,
        reason = "ends when the server has dropped its handlers"
    )]
    tokio::spawn(resetting);
    let readiness = Readiness::new().watch("mail", move || {
        let works = works.load(Ordering::Relaxed);
        async move {
            if works {
                Ok(())
            } else {
                Err("the last mail was not taken")
            }
        }
    });
    (resets, readiness)
}
