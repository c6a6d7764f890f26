//! What a feature set looks like on the wire, in and out.

use std::collections::HashSet;

use serde::Serialize;
use utoipa::ToSchema;
use web::{Fault, Fields, Read, Value, read};

use crate::domain::feature::{Feature, Kind, Texts};
use crate::routes::names::a_name;

const MAX_FEATURES: usize = 500;
const MAX_CATEGORIES: usize = 200;
const MAX_CATEGORY_BYTES: usize = 100;
const MAX_TEXT_BYTES: usize = 300;
const MAX_DESCRIPTION_BYTES: usize = 1_000;
/// Five hundred features with what they say.
const MAX_SET_BYTES: usize = 1024 * 1024;
/// No declared bound is farther from 0.
const MAX_BOUND: f64 = 1e15;

const TYPES: &[&str] = &["number", "integer", "boolean", "category"];

/// Features, declared under a version that never changes.
#[derive(ToSchema)]
pub(super) struct NewFeatureSet {
    /// Up to 100 of A-Z a-z 0-9 . _ -.
    #[schema(max_length = 100, example = "engagement-3")]
    pub(super) version: String,
    #[schema(max_length = 1000)]
    pub(super) description: Option<String>,
    #[schema(value_type = Vec<FeatureBody>, min_items = 1, max_items = 500)]
    pub(super) features: Vec<Feature>,
}

impl Read for NewFeatureSet {
    const MAX_BODY_BYTES: usize = MAX_SET_BYTES;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let version = fields.required("version", a_name);
        let description = fields.optional("description", read::text(1..=MAX_DESCRIPTION_BYTES));
        let features: Option<Vec<Feature>> = fields.nested_list("features", 1..=MAX_FEATURES);
        let mut names = HashSet::new();
        let repeated = features
            .iter()
            .flatten()
            .position(|feature| !names.insert(feature.name.as_str()));
        if let Some(index) = repeated {
            fields.fault("features", format!("declares a feature a second time at {index}"));
            return None;
        }
        Some(Self {
            version: version?,
            description: description?,
            features: features?,
        })
    }
}

/// A feature: what its values are, and what they say to somebody who reads no numbers.
#[derive(Serialize, ToSchema)]
pub(super) struct FeatureBody {
    #[schema(max_length = 100, example = "sleep_hours")]
    name: String,
    /// `number`, `integer`, `boolean` or `category`.
    r#type: &'static str,
    /// Of numbers and whole numbers: the least that is taken.
    #[schema(required = false, value_type = Option<f64>)]
    minimum: Option<serde_json::Number>,
    /// Of numbers and whole numbers: the most that is taken.
    #[schema(required = false, value_type = Option<f64>)]
    maximum: Option<serde_json::Number>,
    /// Of a category: the words that it may be.
    #[schema(required = false, max_items = 200)]
    categories: Option<Vec<String>>,
    /// Whether a value may be null; by default not.
    #[schema(required = false)]
    nullable: bool,
    /// Whether models are measured for each of its values apart; by default not.
    #[schema(required = false)]
    subgroup: bool,
    #[schema(required = false)]
    texts: TextsBody,
}

/// What a value means in plain language, for staff.
#[derive(Serialize, ToSchema)]
struct TextsBody {
    /// Where it raises the risk.
    #[schema(max_length = 300, example = "They sleep less than before.")]
    raises: Option<String>,
    /// Where it lowers the risk.
    #[schema(max_length = 300, example = "They sleep well.")]
    lowers: Option<String>,
}

impl From<Feature> for FeatureBody {
    fn from(feature: Feature) -> Self {
        let (r#type, minimum, maximum, categories) = match feature.kind {
            Kind::Number { minimum, maximum } => {
                let number = |bound: Option<f64>| bound.and_then(serde_json::Number::from_f64);
                ("number", number(minimum), number(maximum), None)
            }
            Kind::Integer { minimum, maximum } => {
                ("integer", minimum.map(Into::into), maximum.map(Into::into), None)
            }
            Kind::Boolean => ("boolean", None, None, None),
            Kind::Category { categories } => ("category", None, None, Some(categories)),
        };
        Self {
            name: feature.name,
            r#type,
            minimum,
            maximum,
            categories,
            nullable: feature.nullable,
            subgroup: feature.subgroup,
            texts: TextsBody {
                raises: feature.texts.raises,
                lowers: feature.texts.lowers,
            },
        }
    }
}

impl Read for Feature {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.required("name", a_name);
        let kind = fields.required("type", read::one_of(TYPES));
        let kind = kind.and_then(|kind| read_kind(fields, kind));
        let nullable = fields.optional("nullable", read::boolean);
        let subgroup = fields.optional("subgroup", read::boolean);
        let texts: Option<Option<Texts>> = fields.optional_nested("texts");
        Some(Self {
            name: name?,
            kind: kind?,
            nullable: nullable?.unwrap_or_default(),
            subgroup: subgroup?.unwrap_or_default(),
            texts: texts?.unwrap_or_default(),
        })
    }
}

impl Read for Texts {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let raises = fields.optional("raises", read::text(1..=MAX_TEXT_BYTES));
        let lowers = fields.optional("lowers", read::text(1..=MAX_TEXT_BYTES));
        Some(Self {
            raises: raises?,
            lowers: lowers?,
        })
    }
}

/// Bounds are of numbers and categories of a category: elsewhere they are unknown fields.
fn read_kind(fields: &mut Fields<'_>, kind: &str) -> Option<Kind> {
    match kind {
        "number" => {
            let (minimum, maximum) = bounds(fields, read::number_in(-MAX_BOUND..=MAX_BOUND))?;
            Some(Kind::Number { minimum, maximum })
        }
        "integer" => {
            let (minimum, maximum) = bounds(fields, read::integer(i64::MIN..=i64::MAX))?;
            Some(Kind::Integer { minimum, maximum })
        }
        "category" => {
            let word = read::text(1..=MAX_CATEGORY_BYTES);
            let categories = fields.list("categories", 1..=MAX_CATEGORIES, word)?;
            let mut seen = HashSet::new();
            if !categories.iter().all(|word| seen.insert(word.as_str())) {
                fields.fault("categories", "names a category twice");
                return None;
            }
            Some(Kind::Category { categories })
        }
        _ => Some(Kind::Boolean),
    }
}

/// Absent is unbounded.
type Bounds<T> = (Option<T>, Option<T>);

fn bounds<T: PartialOrd>(
    fields: &mut Fields<'_>,
    reader: impl Fn(&Value) -> Result<T, Fault>,
) -> Option<Bounds<T>> {
    let minimum = fields.optional("minimum", &reader);
    let maximum = fields.optional("maximum", &reader);
    let (minimum, maximum) = (minimum?, maximum?);
    if minimum
        .as_ref()
        .zip(maximum.as_ref())
        .is_some_and(|(least, most)| least > most)
    {
        fields.fault("maximum", "must not be below the minimum");
        return None;
    }
    Some((minimum, maximum))
}
