//! What a nudge says: the texts that the programme keeps, by kind and language, and what is filled into them.

/// The language of everybody for whom there is no text in one of their own.
pub(crate) const DEFAULT_LOCALE: &str = "en";

/// What a text may hold in braces.
const PLACEHOLDERS: [&str; 2] = ["name", "crisis_line"];

/// The longest language tag, and the longest part of one.
const MAX_LOCALE_BYTES: usize = 35;
const MAX_SUBTAG_BYTES: usize = 8;

/// A language tag such as `de` or `de-AT`.
pub(crate) fn locale(text: &str) -> Option<String> {
    let is_subtag = |part: &str| {
        (1..=MAX_SUBTAG_BYTES).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let language = text.split('-').next()?;
    let is_language = language.len() > 1 && language.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_tag = text.len() <= MAX_LOCALE_BYTES && text.split('-').all(is_subtag);
    (is_language && is_tag).then(|| text.to_owned())
}

/// A text of one kind of nudge in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) template_id: i64,
    pub(crate) nudge_type: String,
    pub(crate) locale: String,
    pub(crate) message: String,
}

/// What is known of the client who reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) locale: Option<String>,
    /// As staff see it.
    pub(crate) name: Option<String>,
    /// The first number to call in the client's region.
    pub(crate) crisis_line: Option<String>,
}

impl Reader {
    fn value(&self, placeholder: &str) -> Option<&str> {
        match placeholder {
            "name" => self.name.as_deref(),
            "crisis_line" => self.crisis_line.as_deref(),
            _ => None,
        }
    }

    /// The client's languages, the closest first: `de-AT`, `de`, `en`.
    fn locales(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(self.locale.as_deref(), |tag| wider(tag)).chain(std::iter::once(DEFAULT_LOCALE))
    }
}

/// A language tag without its last part: `de` for `de-AT`.
fn wider(tag: &str) -> Option<&str> {
    Some(tag.rsplit_once('-')?.0)
}

/// What a client reads, and which text it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) message: String,
    /// `None` where a person wrote it.
    pub(crate) template_id: Option<i64>,
}

/// The texts that are in use.
#[derive(Clone, Debug, Default)]
pub(crate) struct Templates(pub(crate) Vec<Template>);

impl Templates {
    /// The text of a kind in the closest language in which all of it can be filled in.
    pub(crate) fn text(&self, nudge_type: &str, reader: &Reader) -> Option<Text> {
        reader.locales().find_map(|locale| {
            let of_kind = |template: &&Template| {
                template.nudge_type == nudge_type && template.locale.eq_ignore_ascii_case(locale)
            };
            let template = self.0.iter().find(of_kind)?;
            Some(Text {
                message: render(&template.message, reader)?,
                template_id: Some(template.template_id),
            })
        })
    }
}

/// A piece of a text.
enum Piece<'a> {
    Plain(&'a str),
    Placeholder(&'a str),
}

/// The pieces of a text; `None` where braces are not in pairs.
fn pieces(message: &str) -> Option<Vec<Piece<'_>>> {
    let mut pieces = Vec::new();
    let mut rest = message;
    while let Some((plain, more)) = rest.split_once('{') {
        let (placeholder, behind) = more.split_once('}')?;
        if plain.contains('}') || placeholder.contains('{') {
            return None;
        }
        pieces.extend([Piece::Plain(plain), Piece::Placeholder(placeholder)]);
        rest = behind;
    }
    if rest.contains('}') {
        return None;
    }
    pieces.push(Piece::Plain(rest));
    Some(pieces)
}

/// Whether everything in braces is something that can be filled in.
pub(crate) fn is_fillable(message: &str) -> bool {
    pieces(message).is_some_and(|pieces| {
        pieces.iter().all(|piece| match piece {
            Piece::Plain(_) => true,
            Piece::Placeholder(name) => PLACEHOLDERS.contains(name),
        })
    })
}

/// The text for one client; `None` where something of it is not known. What is filled in is not read for placeholders.
fn render(message: &str, reader: &Reader) -> Option<String> {
    pieces(message)?
        .into_iter()
        .map(|piece| match piece {
            Piece::Plain(plain) => Some(plain),
            Piece::Placeholder(name) => reader.value(name),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(template_id: i64, locale: &str, message: &str) -> Template {
        Template {
            template_id,
            nudge_type: "wellness_check".to_owned(),
            locale: locale.to_owned(),
            message: message.to_owned(),
        }
    }

    fn reader(locale: &str, name: Option<&str>) -> Reader {
        Reader {
            locale: Some(locale.to_owned()),
            name: name.map(str::to_owned),
            crisis_line: None,
        }
    }

    #[test]
    fn the_closest_language_speaks_in_which_everything_is_known() {
        let texts = Templates(vec![
            template(1, "en", "Hello"),
            template(2, "de", "Hallo"),
            template(3, "de-AT", "Servus {name}"),
            template(4, "zh-Hant", "你好"),
        ]);
        for (locale, name, expected) in [
            ("de-AT", Some("Resi"), "Servus Resi"),
            ("de-at", Some("Resi"), "Servus Resi"),
            ("de-AT", None, "Hallo"),
            ("de-CH", Some("Resi"), "Hallo"),
            ("zh-Hant-TW", None, "你好"),
            ("fr", None, "Hello"),
            ("", None, "Hello"),
        ] {
            let text = texts.text("wellness_check", &reader(locale, name));
            assert_eq!(
                text.map(|text| text.message).as_deref(),
                Some(expected),
                "{locale}"
            );
        }
        assert_eq!(texts.text("coping_exercise", &reader("en", None)), None);
    }

    #[test]
    fn a_name_is_filled_in_as_it_is() {
        let texts = Templates(vec![template(1, "en", "{name}, {name}!")]);
        let text = texts.text("wellness_check", &reader("en", Some("{crisis_line}")));
        assert_eq!(
            text.map(|text| text.message).as_deref(),
            Some("{crisis_line}, {crisis_line}!")
        );
    }

    #[test]
    fn a_language_tag_begins_with_a_language() {
        for good in ["en", "de-AT", "zh-Hant-TW", "es-419"] {
            assert_eq!(locale(good).as_deref(), Some(good));
        }
        for bad in ["", "e", "1n", "en-", "-en", "en_US", "en-toolongatag", "ü"] {
            assert_eq!(locale(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_known_placeholders_stand_in_braces() {
        for (message, fillable) in [
            ("How are you?", true),
            ("{name}: {crisis_line}", true),
            ("{Name}", false),
            ("{}", false),
            ("{name", false),
            ("name}", false),
            ("{{name}}", false),
            ("{name} }{", false),
        ] {
            assert_eq!(is_fillable(message), fillable, "{message}");
        }
    }
}
