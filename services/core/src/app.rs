//! The core service put together: server, consumer, relay, and the operator's commands.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Subcommand;
use include_dir::{Dir, include_dir};
use service::{Definition, Foundation, Job, Program, Service, Settings, StartError};
use telemetry::Metrics;
use web::Readiness;

use crate::config::OwnSettings;
use crate::hasher::Hasher;
use crate::resets::{Resets, Resetter};
use crate::sealer::Sealer;
use crate::state::State;
use crate::{admin, config, events, jobs, routes};

static MIGRATIONS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/../../migrations/core");

/// What `main` runs.
pub const PROGRAM: Program<Command, OwnSettings> = Program {
    variables: config::VARIABLES,
    own: OwnSettings::read,
    about: "Recoverly core: accounts, caseloads, messages, and the leases by which pipelines take them to score",
    migrations: &MIGRATIONS,
    openapi: routes::openapi,
    start: |settings, own, metrics| Box::pin(async move { Ok(start(&settings, &own, metrics)?) }),
    command: |command, env| match command {
        Command::Admin(command) => Box::pin(admin::main(command, env)),
    },
};

/// How often each job looks for work when it found none. Where tokens go, every service forgets those it remembers: not too
/// often.
const FORGET_SIGN_INS_EVERY: Duration = Duration::from_secs(3_600);

/// What the program does besides serving and migrating.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Accounts, programs and tokens, by the operator who has the service's database URL.
    #[command(subcommand)]
    Admin(admin::Command),
}

/// Starts the service.
///
/// # Errors
/// When the address is taken or a setting is none.
pub fn start(settings: &Settings, own: &OwnSettings, metrics: Metrics) -> Result<Service, StartError> {
    let foundation = Foundation::new(settings)?;
    let (resets, readiness) = resets(own, &foundation);
    let state = State {
        db: foundation.db.clone(),
        outbox: foundation.outbox.clone(),
        hasher: Hasher::new(),
        resets,
        sealer: sealer(own)?,
        throttle_key: settings.cursor_key.clone(),
    };
    let state = Arc::new(state);
    let definition = Definition {
        about: routes::ABOUT,
        routes: routes::all,
        handlers: Box::new(events::handlers),
        jobs: jobs(&state),
        state,
        readiness,
    };
    Service::start(settings, foundation, definition, metrics)
}

/// Each job by the name that logs and tests call it.
fn jobs(state: &Arc<State>) -> Vec<Job> {
    let state = Arc::clone(state);
    let forget = move || {
        let state = Arc::clone(&state);
        async move { jobs::forget_sign_ins::round(&state).await }
    };
    vec![Job::new("forget_sign_ins", FORGET_SIGN_INS_EVERY, forget)]
}

fn sealer(own: &OwnSettings) -> Result<Option<Arc<Sealer>>, StartError> {
    let sealer = own.totp_key.as_ref().map(Sealer::new).transpose();
    Ok(sealer.map_err(io::Error::other)?.map(Arc::new))
}

/// The queue of forgotten passwords, and what readiness shows of mail: it is not needed to be ready.
fn resets(own: &OwnSettings, foundation: &Foundation) -> (Resets, Readiness) {
    let Some(mail) = &own.mail else {
        let readiness = Readiness::new().watch("mail", || async { Err::<(), _>("not configured") });
        return (Resets::none(), readiness);
    };
    let works = Arc::new(AtomicBool::new(true));
    let (resets, resetting) = Resets::to(Resetter {
        db: foundation.db.clone(),
        mailer: Arc::clone(&mail.mailer),
        page: mail.page.clone(),
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
