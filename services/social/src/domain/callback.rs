//! Where webhooks may go: to the outside by https, never to what is inside with us.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

const MAX_URL_BYTES: usize = 2_048;
const HTTPS_PORT: u16 = 443;
/// Ports up to this one belong to services of the system, such as mail, and take no webhooks but by https.
const LAST_SYSTEM_PORT: u16 = 1_024;

/// How far webhooks reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reach {
    /// By https to public addresses.
    #[default]
    Outside,
    /// Anywhere, also in clear: for tests and demonstrations.
    Anywhere,
}

impl Reach {
    /// Whether webhooks may be sent to an address, whatever name led there.
    pub(crate) fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Outside => is_public(address),
            Self::Anywhere => true,
        }
    }
}

/// The URL of a webhook. Which addresses its name leads to is asked at each sending.
///
/// # Errors
/// Why not, as the end of a sentence that begins with the field.
pub(crate) fn callback(text: &str, reach: Reach) -> Result<Url, &'static str> {
    if text.len() > MAX_URL_BYTES {
        return Err("must have at most 2,048 bytes");
    }
    let url = Url::parse(text).map_err(|_| "must be a URL")?;
    let is_clear = url.scheme() == "http" && reach == Reach::Anywhere;
    if url.scheme() != "https" && !is_clear {
        return Err("must begin with https://");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold no user name and no password");
    }
    if url.fragment().is_some() {
        return Err("must have no fragment");
    }
    let port = url.port_or_known_default().unwrap_or_default();
    if port != HTTPS_PORT && port <= LAST_SYSTEM_PORT {
        return Err("must have port 443 or one above 1024");
    }
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) => None,
        None => return Err("must name a host"),
    };
    if literal.is_some_and(|address| !reach.allows(address)) {
        return Err("must not lead to a private, local or reserved address");
    }
    Ok(url)
}

/// Whether an address is one of the public internet. What is not known to be is taken for private.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = address.is_private()
        || address.is_loopback()
        // Metadata of clouds among them.
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        // Shared by carriers; Alibaba's metadata among them.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19))
        // Azure's metadata and agents.
        || address == Ipv4Addr::new(168, 63, 129, 16);
    !is_special
}

/// Global unicast, without what is set aside in it.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let is_global = first & 0xe000 == 0x2000;
    let is_documentation = (first == 0x2001 && second == 0x0db8) || first == 0x3fff;
    let is_protocol = first == 0x2001 && second < 0x0200;
    is_global && !is_documentation && !is_protocol
}

/// The address of version 4 that one of version 6 leads to: mapped, by NAT64 or by 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let low = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, rest]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, rest]
        | [0x2002, high, rest, ..] => Some(low(high, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_leads_outside_by_https_alone() {
        for url in [
            "https://hooks.example",
            "https://hooks.example:8443/path?token=1",
            "https://93.184.215.14/",
            "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
        ] {
            assert!(callback(url, Reach::Outside).is_ok(), "{url}");
        }
        for url in [
            "http://hooks.example",
            "ftp://hooks.example",
            "https://somebody:secret@hooks.example",
            "https://somebody@hooks.example",
            "https://hooks.example:25",
            "https://hooks.example:1024",
            "https://hooks.example/#fragment",
            "hooks.example",
            "https://",
            "",
        ] {
            assert!(callback(url, Reach::Outside).is_err(), "{url}");
        }
        assert!(callback("http://127.0.0.1:8080/", Reach::Anywhere).is_ok());
        assert!(
            callback(
                &format!("https://hooks.example/{}", "a".repeat(2_048)),
                Reach::Outside
            )
            .is_err()
        );
    }

    #[test]
    fn no_spelling_of_an_address_inside_is_taken() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "198.18.0.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::1]",
            "[2002:7f00:1::]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[fec0::1]",
            "[ff02::1]",
            "[2001:db8::1]",
            "[2001::1]",
        ] {
            let url = format!("https://{host}/");
            assert!(callback(&url, Reach::Outside).is_err(), "{host}");
        }
    }
}
