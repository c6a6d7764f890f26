//! `recoverly-social serve | migrate …`.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    service::main(social_service::PROGRAM).await
}
