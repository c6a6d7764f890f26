//! A database per test, copied from a template that holds the migrated schemas.

use std::fs;
use std::path::Path;

use db::migrate::{Files, Migrations, Session};
use db::{Actor, Db, Row};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls};
use url::Url;
use uuid::Uuid;

use crate::servers::{Servers, workspace_root};

/// In the order in which they refer to each other.
const SCHEMAS: [&str; 5] = ["core", "social", "risk", "reco", "causal"];
/// One template is built at a time, whichever process asks first.
const TEMPLATE_LOCK: i64 = 0x7465_6d70_6c61_7465;

/// A migrated database of its own, dropped when the test ends.
pub struct TestDb {
    name: String,
    admin: Admin,
}

impl TestDb {
    /// Copies the template; the first caller after a change of the migrations builds it.
    ///
    /// # Panics
    /// When Postgres refuses.
    pub async fn new() -> Self {
        let admin = Admin::connect(&Servers::get().admin_database_url).await;
        let template = template(&admin).await;
        let name = format!("recoverly_test_{}", Uuid::now_v7().simple());
        admin
            .run(&format!(
                "create database {name} template {template} owner recoverly_owner"
            ))
            .await;
        Self { name, admin }
    }

    /// The URL of a service's login role.
    #[must_use]
    pub fn url(&self, service: &str) -> SecretString {
        role_url(&format!("recoverly_{service}"), &self.name)
    }

    /// The owner role's URL, for migrations.
    #[must_use]
    pub fn owner_url(&self) -> SecretString {
        role_url("recoverly_owner", &self.name)
    }

    /// A service's pools, as the service itself makes them.
    ///
    /// # Panics
    /// When the URL is none.
    #[must_use]
    pub fn pools(&self, schema: &'static str) -> Db {
        let settings = db::Settings {
            url: self.url(schema),
            schema,
            people_connections_max: 4,
            server_threads: 1,
            worker_connections_max: 4,
            session_parameters: Vec::new(),
        };
        Db::new(&settings).expect("pools")
    }

    /// A superuser's session in this database, for what no service may do: plant, count, break.
    ///
    /// # Panics
    /// When Postgres refuses.
    pub async fn superuser(&self) -> Admin {
        Admin::connect(&on_database(&Servers::get().admin_database_url, &self.name)).await
    }

    /// Runs a query as the superuser.
    ///
    /// # Panics
    /// When Postgres refuses.
    pub async fn query(&self, sql: &str) -> Vec<Row> {
        self.superuser().await.query(sql).await
    }

    /// The first column of the first row as a count.
    ///
    /// # Panics
    /// When the query yields none.
    pub async fn count(&self, sql: &str) -> i64 {
        let rows = self.query(sql).await;
        rows.first().expect("a row").try_get(0).expect("a count (bigint)")
    }

    /// What an actor sees of a query, with the service's own role and row-level security.
    ///
    /// # Panics
    /// When Postgres refuses.
    pub async fn seen_by(&self, schema: &'static str, actor: &Actor, sql: &str) -> Vec<Row> {
        self.pools(schema)
            .read(actor, sql, &[])
            .await
            .expect("a query as an actor")
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        // Dropping is asynchronous and a test's runtime may be gone: a thread with its own does it, and the test
        // waits, so that the number of databases stays bounded.
        let url = Servers::get().admin_database_url.clone();
        let sql = format!("drop database if exists {} with (force)", self.name);
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async { Admin::connect(&url).await.run(&sql).await });
            }
        });
        let _ = dropping.join();
        let _ = &self.admin;
    }
}

/// A session of a superuser.
pub struct Admin {
    client: Client,
    connection: JoinHandle<()>,
}

impl Drop for Admin {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Admin {
    async fn connect(url: &SecretString) -> Self {
        let config: Config = url.expose_secret().parse().expect("a Postgres URL");
        let (client, connection) = config.connect(NoTls).await.expect("the test Postgres");
        #[expect(clippy::disallowed_methods, reason = "ends with its session")]
        let connection = tokio::spawn(async move {
            let _ = connection.await;
        });
        Self { client, connection }
    }

    /// Runs statements.
    ///
    /// # Panics
    /// When Postgres refuses.
    pub async fn run(&self, sql: &str) {
        if let Err(error) = self.client.batch_execute(sql).await {
            panic!(
                "{sql}: {}",
                error.as_db_error().map_or(error.to_string(), ToString::to_string)
            );
        }
    }

    /// Runs a query.
    ///
    /// # Panics
    /// When Postgres refuses.
    pub async fn query(&self, sql: &str) -> Vec<Row> {
        match self.client.query(sql, &[]).await {
            Ok(rows) => rows,
            Err(error) => panic!(
                "{sql}: {}",
                error.as_db_error().map_or(error.to_string(), ToString::to_string)
            ),
        }
    }
}

/// The name of the template for today's migrations; built under a lock, so that one process does it.
async fn template(admin: &Admin) -> String {
    let root = workspace_root();
    let name = format!("recoverly_template_{}", fingerprint(&root));
    let exists = format!("select 1 from pg_database where datname = '{name}'");
    if !admin.query(&exists).await.is_empty() {
        return name;
    }
    admin
        .run(&format!("select pg_advisory_lock({TEMPLATE_LOCK})"))
        .await;
    if admin.query(&exists).await.is_empty() {
        build_template(admin, &root, &name).await;
    }
    admin
        .run(&format!("select pg_advisory_unlock({TEMPLATE_LOCK})"))
        .await;
    name
}

async fn build_template(admin: &Admin, root: &Path, name: &str) {
    let read = |path: &str| fs::read_to_string(root.join(path)).expect("a file of the bootstrap");
    // Built under another name, so that a half-built template is never copied.
    let building = format!("{name}_building");
    admin
        .run(&format!("drop database if exists {building} with (force)"))
        .await;
    admin
        .run(&format!("create database {building} owner recoverly_owner"))
        .await;
    let superuser = Admin::connect(&on_database(&Servers::get().admin_database_url, &building)).await;
    superuser.run(&read("deploy/postgres/database.sql")).await;
    drop(superuser);
    for schema in SCHEMAS {
        let folder = root.join("migrations").join(schema);
        let migrations = Migrations::load(&Files::Folder(&folder)).expect("migrations");
        let mut session = Session::open(&role_url("recoverly_owner", &building), schema)
            .await
            .expect("the owner");
        session.up(&migrations, None).await.expect("migrations apply");
    }
    // A template that somebody is connected to cannot be copied; the sessions above are closing.
    admin
        .run(&format!("alter database {building} with allow_connections false"))
        .await;
    admin
        .run(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{building}'"
        ))
        .await;
    admin
        .run(&format!("alter database {building} rename to {name}"))
        .await;
}

/// Over every file that shapes the template.
fn fingerprint(root: &Path) -> String {
    let mut files: Vec<_> = SCHEMAS
        .iter()
        .map(|schema| root.join("migrations").join(schema))
        .chain([root.join("deploy/postgres")])
        .flat_map(|folder| fs::read_dir(folder).expect("a folder of migrations").flatten())
        .map(|entry| entry.path())
        .collect();
    files.sort();
    let mut hasher = Sha256::new();
    for file in files {
        hasher.update(file.file_name().unwrap_or_default().as_encoded_bytes());
        hasher.update(fs::read(&file).expect("a migration"));
    }
    hex::encode(hasher.finalize()).chars().take(16).collect()
}

/// The roles and their passwords are the bootstrap's; only the database is another.
fn role_url(role: &str, database: &str) -> SecretString {
    let known = &Servers::get().role_urls;
    let url = known.iter().find(|(name, _)| *name == role).map(|(_, url)| url);
    on_database(url.expect("a role of the platform"), database)
}

fn on_database(url: &SecretString, database: &str) -> SecretString {
    let mut url = parsed(url);
    url.set_path(database);
    SecretString::from(url.to_string())
}

fn parsed(url: &SecretString) -> Url {
    url.expose_secret().parse().expect("a Postgres URL")
}
