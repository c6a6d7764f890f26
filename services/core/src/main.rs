//! `recoverly-core serve | migrate …`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    service::main(core_service::PROGRAM).await
}
