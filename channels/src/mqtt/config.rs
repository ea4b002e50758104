use std::path::PathBuf;
use std::time::Duration;

use rumqttc::Transport;
use rumqttc::v5::MqttOptions;
use serde::Deserialize;

/// The broker and our place in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttConfig {
    /// Name or address.
    pub host: String,
    /// Port: 1883, or 8883 with TLS.
    pub port: u16,
    /// Whether the connection is protected by TLS.
    #[serde(default)]
    pub tls: bool,
    /// PEM file of a further certificate authority, for a broker of one's own.
    pub ca_file: Option<PathBuf>,
    /// Account, where the broker wants one.
    pub username: Option<String>,
    /// File that holds the account's password, alone.
    pub password_file: Option<PathBuf>,
    /// Our name at the broker; two programs must not share it.
    #[serde(default = "client_id")]
    pub client_id: String,
    /// First levels of all our topics.
    #[serde(default = "prefix")]
    pub prefix: String,
    /// Packets without their PUBACK at once.
    #[serde(default = "inflight")]
    pub inflight: u16,
    /// The broker is asked for a sign of life this often, seconds.
    #[serde(default = "keep_alive")]
    pub keep_alive_seconds: u16,
    /// The longest that a PUBACK may take, milliseconds.
    #[serde(default = "ack_ms")]
    pub ack_timeout_ms: u64,
}

impl MqttConfig {
    /// How a program connects to this broker under a name.
    ///
    /// # Errors
    /// When something of it cannot be, or be read.
    pub fn options(&self, client_id: &str) -> Result<MqttOptions, MqttError> {
        let prefix = self.prefix.trim_end_matches('/');
        if prefix.is_empty() || prefix.contains(['+', '#', '\0']) {
            return Err(MqttError::Prefix(self.prefix.clone()));
        }
        let mut options = MqttOptions::new(client_id, &self.host, self.port);
        options.set_keep_alive(Duration::from_secs(u64::from(self.keep_alive_seconds.max(5))));
        options.set_connection_timeout(5);
        let mut network = rumqttc::NetworkOptions::new();
        network.set_tcp_nodelay(true);
        options.set_network_options(network);
        if let (Some(user), Some(path)) = (&self.username, &self.password_file) {
            let here = matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1");
            if !self.tls && !here {
                return Err(MqttError::ClearPassword);
            }
            let bad = |e: std::io::Error| MqttError::File { path: path.clone(), why: e.to_string() };
            options.set_credentials(user, std::fs::read_to_string(path).map_err(bad)?.trim_end());
        }
        if self.tls {
            let tls = crate::tls::client_config(self.ca_file.as_deref()).map_err(MqttError::Tls)?;
            options.set_transport(Transport::Tls(rumqttc::TlsConfiguration::Rustls(tls)));
        }
        Ok(options)
    }
}

fn client_id() -> String {
    "tocsin".into()
}

fn prefix() -> String {
    "tocsin/v1".into()
}

const fn inflight() -> u16 {
    100
}

const fn keep_alive() -> u16 {
    30
}

const fn ack_ms() -> u64 {
    10_000
}

/// Why the MQTT channel cannot start.
#[derive(Debug, thiserror::Error)]
pub enum MqttError {
    /// The prefix cannot begin a topic.
    #[error("channels.mqtt: `prefix` is `{0}`; write levels apart by /, without + or #")]
    Prefix(String),
    /// A file that cannot be used.
    #[error("channels.mqtt: {path}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A password would go over the wire in the clear.
    #[error(
        "channels.mqtt: a username without TLS sends the password in the clear; set `tls = true`, or use a broker on this machine"
    )]
    ClearPassword,
    /// TLS cannot be set up.
    #[error("channels.mqtt: {0}")]
    Tls(String),
}
