//! A vhost per test.

use reqwest::{Client, Method};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::servers::{Servers, rabbitmq_of_profile};

/// A vhost of its own, deleted when the test ends.
pub struct TestBus {
    vhost: String,
    amqp_url: SecretString,
    management_url: SecretString,
    client: Client,
}

impl TestBus {
    /// Makes the vhost and lets the test user into it.
    ///
    /// # Panics
    /// When RabbitMQ's management API refuses.
    pub async fn new() -> Self {
        let servers = Servers::get();
        Self::on(servers.amqp_url.clone(), servers.amqp_management_url.clone()).await
    }

    /// As [`Self::new`], on the broker of another stack profile, which the test may stop and kill.
    ///
    /// # Panics
    /// When the profile is not up.
    pub async fn on_profile(profile: &str) -> Self {
        let (amqp_url, management_url) = rabbitmq_of_profile(profile);
        Self::on(amqp_url, management_url).await
    }

    async fn on(amqp_url: SecretString, management_url: SecretString) -> Self {
        let bus = Self {
            vhost: format!("test-{}", Uuid::now_v7()),
            amqp_url,
            management_url,
            client: Client::new(),
        };
        bus.call(Method::PUT, &format!("vhosts/{}", bus.vhost), None)
            .await;
        let user = parsed(&bus.management_url).username().to_owned();
        let all = json!({"configure": ".*", "write": ".*", "read": ".*"});
        bus.call(
            Method::PUT,
            &format!("permissions/{}/{user}", bus.vhost),
            Some(all),
        )
        .await;
        bus
    }

    /// The AMQP URL of the vhost.
    ///
    /// # Panics
    /// When the server's URL is none.
    #[must_use]
    pub fn url(&self) -> SecretString {
        let mut url = parsed(&self.amqp_url);
        url.set_path(&self.vhost);
        SecretString::from(url.to_string())
    }

    /// The vhost's name, for calls to the management API.
    #[must_use]
    pub fn vhost(&self) -> &str {
        &self.vhost
    }

    /// The messages waiting in a queue, by the broker's own count.
    ///
    /// # Panics
    /// When RabbitMQ's management API refuses.
    pub async fn waiting(&self, queue: &str) -> u64 {
        let found = self
            .call(Method::GET, &format!("queues/{}/{queue}", self.vhost), None)
            .await;
        found.get("messages").and_then(Value::as_u64).unwrap_or_default()
    }

    /// Closes every connection of the vhost, as a broker restart would.
    ///
    /// # Panics
    /// When RabbitMQ's management API refuses.
    pub async fn cut_connections(&self) {
        let found = self
            .call(Method::GET, &format!("vhosts/{}/connections", self.vhost), None)
            .await;
        for connection in found.as_array().into_iter().flatten() {
            if let Some(name) = connection.get("name").and_then(Value::as_str) {
                self.call(Method::DELETE, &format!("connections/{}", encoded(name)), None)
                    .await;
            }
        }
    }

    /// Calls the management API: `path` below `/api/`.
    ///
    /// # Panics
    /// When it cannot be reached or answers with a server error.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let base = parsed(&self.management_url);
        let url = format!("{}/api/{path}", base.origin().ascii_serialization());
        let mut request = self
            .client
            .request(method, url)
            .basic_auth(base.username(), base.password());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("RabbitMQ's management API");
        assert!(
            !answer.status().is_server_error(),
            "management API: {path}: {}",
            answer.status()
        );
        answer.json().await.unwrap_or(Value::Null)
    }
}

impl Drop for TestBus {
    fn drop(&mut self) {
        // As in TestDb: deleting waits, the test's runtime may be gone.
        let (vhost, base) = (self.vhost.clone(), parsed(&self.management_url));
        let deleting = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                let url = format!("{}/api/vhosts/{vhost}", base.origin().ascii_serialization());
                let request = Client::new()
                    .delete(url)
                    .basic_auth(base.username(), base.password());
                let _ = runtime.block_on(request.send());
            }
        });
        let _ = deleting.join();
    }
}

fn parsed(url: &SecretString) -> Url {
    url.expose_secret().parse().expect("a URL of the test stack")
}

fn encoded(name: &str) -> String {
    url::form_urlencoded::byte_serialize(name.as_bytes())
        .collect::<String>()
        .replace('+', "%20")
}
