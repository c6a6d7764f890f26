//! What a process says about its telemetry.

use std::fmt;
use std::str::FromStr;

/// How to set telemetry up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The service's name in traces and metrics, such as `social`.
    pub service: &'static str,
    /// Which events are logged, such as `info,social_service=debug`.
    pub log_filter: String,
    /// How a line looks.
    pub log_format: LogFormat,
    /// Base address of an OTLP collector over HTTP, such as `http://127.0.0.1:4318`; none: nothing is sent.
    pub otlp_endpoint: Option<String>,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// One JSON object a line, on standard output.
    #[default]
    Json,
    /// For people at a terminal, on standard error.
    Pretty,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "json" => Ok(Self::Json),
            "pretty" => Ok(Self::Pretty),
            _ => Err("the log format is json or pretty"),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "json",
            Self::Pretty => "pretty",
        })
    }
}
