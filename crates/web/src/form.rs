//! Forms, for the few routes whose standard wants them: `application/x-www-form-urlencoded`, read as strictly as JSON.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::web::Bytes;
use actix_web::{FromRequest, HttpRequest};
use percent_encoding::percent_decode_str;

use crate::body::receive_as;
use crate::problem::Problem;

const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";

/// The largest form, in bytes.
const MAX_FORM_BYTES: usize = 16 * 1024;

/// Parameters of one form.
const MAX_PARAMETERS: usize = 32;

/// A form as it was received. What is wrong in it is for the route to say, in the words of its standard; a body that
/// is late, too large or of another type is refused as everywhere.
#[derive(Debug)]
pub struct Form(Bytes);

/// Why a form cannot be read. Nothing of it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not UTF-8, or a `%` without its two digits.
    #[error("the form is not in the encoding of forms")]
    Encoding,
    /// One of two would be ignored, and a proxy may have read the other one.
    #[error("a parameter is given twice")]
    Repeated,
    /// More than any route takes.
    #[error("the form has too many parameters")]
    TooMany,
}

/// The parameters of a form, each given once.
#[derive(Debug)]
pub struct Parameters(Vec<(String, String)>);

impl Form {
    /// Reads the parameters.
    ///
    /// # Errors
    /// As of [`Malformed`].
    pub fn read(&self) -> Result<Parameters, Malformed> {
        Parameters::read(&self.0)
    }
}

impl Parameters {
    fn read(form: &[u8]) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(form).map_err(|_| Malformed::Encoding)?;
        let mut read: Vec<(String, String)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or(Malformed::Encoding)?;
            if read.iter().any(|(earlier, _)| *earlier == name) {
                return Err(Malformed::Repeated);
            }
            if read.len() == MAX_PARAMETERS {
                return Err(Malformed::TooMany);
            }
            read.push((name, decode(value).ok_or(Malformed::Encoding)?));
        }
        Ok(Self(read))
    }

    /// A parameter's value. An empty one counts as absent, which is what RFC 6749 says.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(given, _)| given == name)?;
        (!value.is_empty()).then_some(value)
    }
}

impl FromRequest for Form {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            receive_as(MEDIA_TYPE, MAX_FORM_BYTES, &request, payload)
                .await
                .map(Self)
        })
    }
}

/// A name or a value in clear. Decoders mostly leave a broken escape as it is; here it is a fault.
fn decode(text: &str) -> Option<String> {
    let escapes = text.split('%').skip(1);
    let complete = |escape: &str| {
        escape
            .as_bytes()
            .get(..2)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !escapes.into_iter().all(complete) {
        return None;
    }
    let spaced = text.replace('+', " ");
    let clear = percent_decode_str(&spaced).decode_utf8().ok()?;
    // Postgres cannot hold it.
    (!clear.contains('\0')).then(|| clear.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_as_browsers_and_libraries_write_them() {
        let sent = b"grant_type=client_credentials&scope=a%3Aread+b%3Aread&empty=&alone";
        let form = Parameters::read(sent).unwrap_or(Parameters(Vec::new()));
        assert_eq!(form.get("grant_type"), Some("client_credentials"));
        assert_eq!(form.get("scope"), Some("a:read b:read"));
        assert_eq!(
            (form.get("empty"), form.get("alone"), form.get("absent")),
            (None, None, None)
        );
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let many = (0..=MAX_PARAMETERS)
            .map(|n| format!("p{n}=1"))
            .collect::<Vec<_>>()
            .join("&");
        for (form, fault) in [
            (&b"a=1&b=2&a=1"[..], Malformed::Repeated),
            (b"a=1&%61=2", Malformed::Repeated),
            (b"a=%", Malformed::Encoding),
            (b"a=%4", Malformed::Encoding),
            (b"a=%zz", Malformed::Encoding),
            (b"a=%ff", Malformed::Encoding),
            (b"a=%00", Malformed::Encoding),
            (b"a=\xff", Malformed::Encoding),
            (many.as_bytes(), Malformed::TooMany),
        ] {
            assert_eq!(Parameters::read(form).err(), Some(fault));
        }
    }
}
