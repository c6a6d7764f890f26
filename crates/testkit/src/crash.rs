//! Servers and processes that a test may stop and kill.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::servers::workspace_root;

/// Between two looks of [`eventually`].
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A stack profile of its own, such as `chaos`, whose servers are started and stopped by hand.
pub struct Stack {
    profile: &'static str,
}

impl Stack {
    /// Starts these servers of the profile.
    ///
    /// # Panics
    /// When they do not start.
    #[must_use]
    pub fn up(profile: &'static str, servers: &[&str]) -> Self {
        let stack = Self { profile };
        stack.run("up", servers);
        stack
    }

    /// Stops one server gracefully.
    ///
    /// # Panics
    /// When it does not stop.
    pub fn stop(&self, server: &str) {
        self.run("stop", &[server]);
    }

    /// Starts one server and waits until it answers.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(&self, server: &str) {
        self.run("start", &[server]);
    }

    fn run(&self, command: &str, servers: &[&str]) {
        let script = workspace_root().join("deploy/dev/stack.sh");
        let done = Command::new(script)
            .arg(command)
            .arg(self.profile)
            .args(servers)
            // The profile has servers of its own, whatever the test stack's are.
            .env_remove("RECOVERLY_DATABASE_URL")
            .env_remove("RECOVERLY_AMQP_URL")
            .env_remove("RECOVERLY_REDIS_URL")
            .stdin(Stdio::null())
            .output()
            .expect("deploy/dev/stack.sh");
        assert!(
            done.status.success(),
            "stack.sh {command} {}: {}{}",
            self.profile,
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
    }
}

/// A service as a process of its own, to be killed with SIGKILL and started again.
pub struct Process {
    program: PathBuf,
    environment: Vec<(String, String)>,
    child: Child,
}

impl Process {
    /// Starts `program serve` with nothing but this environment.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn serve(program: &str, environment: &[(String, String)]) -> Self {
        let (program, environment) = (PathBuf::from(program), environment.to_vec());
        let child = spawn(&program, &environment);
        Self {
            program,
            environment,
            child,
        }
    }

    /// Kills it with SIGKILL and starts it anew.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn kill_and_restart(&mut self) {
        self.kill();
        self.child = spawn(&self.program, &self.environment);
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

fn spawn(program: &PathBuf, environment: &[(String, String)]) -> Child {
    Command::new(program)
        .arg("serve")
        .env_clear()
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("the service's binary")
}

/// A port that was free a moment ago.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// Looks again and again until the condition holds: for what other processes do in their own time.
///
/// # Panics
/// When it does not hold within the deadline.
pub async fn eventually(what: &str, deadline: Duration, mut holds: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + deadline;
    while !holds().await {
        assert!(Instant::now() < until, "after {deadline:?} still not: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
