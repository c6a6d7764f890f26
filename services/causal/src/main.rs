//! `recoverly-causal serve | migrate …`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    service::main(causal_service::PROGRAM).await
}
