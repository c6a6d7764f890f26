//! Setting a forgotten password anew: how long the mailed token works, and what the mail says.

use url::Url;

use crate::domain::token::Token;

/// How long a mailed token works, in minutes.
pub(crate) const LASTS_MINUTES: i32 = 30;
/// So long nobody is mailed again, in minutes: others may ask in their name.
pub(crate) const PAUSE_MINUTES: i32 = 2;

pub(crate) const SUBJECT: &str = "Set a new password";

/// What the mail says. Who sees it on a locked screen learns nothing of what the account is for.
pub(crate) fn text(page: &Url, token: &Token) -> String {
    let mut link = page.clone();
    // What follows the # stays in the browser: no server on the way has it in its log.
    link.set_fragment(Some(&format!("token={}", token.reveal())));
    format!(
        "Somebody asked to set a new password for the account with this address. If that was you, open this page \
         within {LASTS_MINUTES} minutes:\r\n\r\n{link}\r\n\r\nIf it was not, there is nothing to do: your password \
         stays as it is.\r\n"
    )
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::domain::token::{Purpose, SECRET_BYTES};

    #[test]
    fn the_token_is_in_the_fragment_and_the_mail_says_nothing_of_recovery() {
        let page = Url::parse("https://app.example/new?lang=de").expect("a URL");
        let token = Token::of(Purpose::Reset, [1; SECRET_BYTES]);
        let text = text(&page, &token);
        let link = format!("https://app.example/new?lang=de#token={}", token.reveal());
        assert!(text.contains(&link), "{text}");
        let said = format!("{SUBJECT}{text}").to_lowercase();
        for word in [
            "recover",
            "sober",
            "counsel",
            "client",
            "programme",
            "relapse",
            "treatment",
        ] {
            assert!(!said.contains(word), "{word}");
        }
    }
}
