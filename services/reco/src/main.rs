//! `recoverly-reco serve | migrate …`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    service::main(reco_service::PROGRAM).await
}
