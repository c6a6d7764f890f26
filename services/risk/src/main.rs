//! `recoverly-risk serve | migrate …`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    service::main(risk_service::PROGRAM).await
}
