//! Sessions of staff with clients.

use serde_json::Value;

/// A session as it came in.
#[derive(Clone, Debug)]
pub(crate) struct NewSession {
    pub(crate) employee_id: String,
    /// Nobody where it is not known yet.
    pub(crate) client_id: Option<String>,
    pub(crate) metadata: Option<Value>,
}

/// Who is in a session that stands; the member of staff until that account is erased.
#[derive(Clone, Debug)]
pub(crate) struct Parties {
    pub(crate) employee_id: Option<String>,
    pub(crate) client_id: Option<String>,
}

impl NewSession {
    /// Whether it is another session than the one that stands under its name. A client who becomes known, or who is not
    /// named again, makes it no other one.
    pub(crate) fn differs(&self, standing: &Parties) -> bool {
        let is_other = |(named, there): (&String, &String)| named != there;
        standing.employee_id.as_ref() != Some(&self.employee_id)
            || self
                .client_id
                .as_ref()
                .zip(standing.client_id.as_ref())
                .is_some_and(is_other)
    }
}

/// A piece of what was said.
#[derive(Clone, Debug)]
pub(crate) struct NewChunk {
    /// Its place, from 0.
    pub(crate) chunk_index: i32,
    pub(crate) content: String,
}

/// Places in a batch that name a piece that another one names before.
pub(crate) fn repeated(chunks: &[NewChunk]) -> Vec<usize> {
    let mut seen = std::collections::HashSet::new();
    let again = chunks
        .iter()
        .enumerate()
        .filter(|(_, chunk)| !seen.insert(chunk.chunk_index));
    again.map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_another_one_with_other_people_in_it() {
        let new = |client: Option<&str>| NewSession {
            employee_id: "staff-a".to_owned(),
            client_id: client.map(str::to_owned),
            metadata: None,
        };
        let standing = |employee: Option<&str>, client: Option<&str>| Parties {
            employee_id: employee.map(str::to_owned),
            client_id: client.map(str::to_owned),
        };
        for (named, employee, client, differs) in [
            (Some("c"), Some("staff-a"), Some("c"), false),
            (Some("c"), Some("staff-a"), None, false),
            (None, Some("staff-a"), Some("c"), false),
            (Some("d"), Some("staff-a"), Some("c"), true),
            (Some("c"), Some("staff-b"), Some("c"), true),
            (Some("c"), None, Some("c"), true),
        ] {
            let found = new(named).differs(&standing(employee, client));
            assert_eq!(found, differs, "{named:?} under {employee:?} and {client:?}");
        }
    }

    #[test]
    fn a_place_that_is_named_twice_is_found() {
        let chunks: Vec<NewChunk> = [3, 1, 3, 1, 2]
            .into_iter()
            .map(|chunk_index| NewChunk {
                chunk_index,
                content: String::new(),
            })
            .collect();
        assert_eq!(repeated(&chunks), [2, 3]);
    }
}
