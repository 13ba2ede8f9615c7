//! Identifiers as PostgreSQL folds them, and what a name means.

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart};

use super::Walker;

/// The system columns every table has.
pub(super) const SYSTEM_COLUMNS: [&str; 6] = ["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

/// The longest identifier in bytes; PostgreSQL cuts what is longer.
const LONGEST: usize = 63;

/// An identifier as stored: folded unless quoted. PostgreSQL folds ASCII letters only in a UTF-8 database; a letter beyond
/// ASCII that has a lower case is left to it.
pub(super) fn fold(ident: &Ident) -> Result<String, String> {
    let name = match ident.quote_style {
        None => {
            if ident.value.chars().any(|c| !c.is_ascii() && c.is_uppercase()) {
                return Err(format!("identifier {} has a capital letter beyond ASCII", ident.value));
            }
            ident.value.to_ascii_lowercase()
        }
        Some('"') => ident.value.replace("\"\"", "\""),
        Some(_) => return Err(format!("identifier {} in foreign quotes", ident.value)),
    };
    if name.len() > LONGEST {
        return Err(format!("identifier {name} is longer than {LONGEST} bytes"));
    }
    Ok(name)
}

/// The parts of a dotted name, folded.
pub(super) fn parts(name: &ObjectName) -> Result<Vec<String>, String> {
    idents(name)?.into_iter().map(fold).collect()
}

/// The identifiers of a dotted name.
pub(super) fn idents(name: &ObjectName) -> Result<Vec<&Ident>, String> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Ok(ident),
            ObjectNamePart::Function(_) => Err("a name is computed".to_owned()),
        })
        .collect()
}

/// A name of one part, folded.
pub(super) fn bare(name: &ObjectName) -> Result<String, String> {
    let mut parts = parts(name)?;
    match (parts.pop(), parts.is_empty()) {
        (Some(name), true) => Ok(name),
        _ => Err("a qualified name where a plain one is expected".into()),
    }
}

/// The types that infer alike: a parameter that meets only columns of one family has a value with one meaning.
fn family(oid: u32) -> u32 {
    match oid {
        20 | 21 | 23 => 20,
        25 | 1043 => 25,
        other => other,
    }
}

/// The parameters that occur more than once and do not meet columns of one family everywhere.
pub(super) fn uncertain(uses: &[(u32, Option<u32>)]) -> Vec<u32> {
    let mut uses: Vec<(u32, Option<u32>)> = uses.iter().map(|(param, oid)| (*param, oid.map(family))).collect();
    uses.sort_unstable();
    // Sorted, so the uses of one parameter lie together, and differ if its first and last do.
    let groups = uses.chunk_by(|a, b| a.0 == b.0);
    groups
        .filter(|group| group.len() > 1 && (group[0].1.is_none() || group[0].1 != group[group.len() - 1].1))
        .map(|group| group[0].0)
        .collect()
}

/// What a table name was found to be.
pub(super) struct Found<'a> {
    /// The schema as stored; empty when no relation of this name is known.
    pub schema: String,
    /// The relation's columns, if it is known.
    pub columns: Option<&'a [crate::sql::schema::Column]>,
}

impl<'a> Walker<'a> {
    /// Finds a relation as PostgreSQL would: `pg_catalog` first, then along the search path.
    pub(super) fn find(&self, schema: Option<&str>, name: &str) -> Result<Found<'a>, String> {
        let known = |schema: &str| {
            let relation = self.schema.relations.get(&(schema.to_owned(), name.to_owned()))?;
            Some(Found { schema: schema.to_owned(), columns: Some(relation.columns.as_slice()) })
        };
        if let Some(schema) = schema {
            return Ok(known(schema).unwrap_or_else(|| Found { schema: schema.to_owned(), columns: None }));
        }
        if let Some(found) = known("pg_catalog") {
            return Ok(found);
        }
        let found = self.context.search_path.iter().find_map(|schema| known(schema));
        if !name.starts_with("pg_") {
            return Ok(found.unwrap_or_else(|| Found { schema: String::new(), columns: None }));
        }
        // The catalogs need not be in the cache, and they win over tables of the same name.
        match found {
            Some(_) => Err(format!("table {name} might be a system catalog")),
            None => Ok(Found { schema: "pg_catalog".into(), columns: None }),
        }
    }
}
