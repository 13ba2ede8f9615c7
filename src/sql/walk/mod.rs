//! From a syntax tree to a [`Model`]: names resolved, conditions kept, everything not understood refused.
//!
//! The walk is the part of `sql` that decides what a statement means, so it has one rule: a node it does not know makes it
//! fail. Conditions it does not know become [`Cond::Unknown`] and values [`Operand::Opaque`], which later constrain nothing.
//! Trees are never cloned, printed or compared (left-deep chains would overflow the stack), and recursion grows the stack.

mod cond;
mod expr;
mod from;
mod names;
mod query;
mod scope;
mod write;

use sqlparser::ast::{SetExpr, Statement};

use super::analysis::{Block, Insert, Literal, Model, Place, RelationRef};
use super::{Context, Positions, Schema};
use scope::{Cte, Scope};

/// The most blocks a statement may have. CTEs are walked once for each reference, so few words can ask for many.
const MOST_BLOCKS: usize = 500;

/// Resolves one statement. `literals` are those of `text` as the lexer found them.
///
/// Fails with the reason, in words for the client, when anything is not understood.
pub fn walk(
    statement: &Statement,
    text: &str,
    literals: &[Literal],
    context: &Context,
    schema: &Schema,
) -> Result<Model, String> {
    if context.search_path.iter().skip(1).any(|name| name == "pg_catalog") {
        return Err("pg_catalog is not searched first".into());
    }
    let mut walker = Walker {
        positions: Positions::new(text),
        literals,
        context,
        schema,
        model: Model {
            relations: Vec::new(),
            blocks: Vec::new(),
            target: None,
            insert: None,
            assigned: Vec::new(),
            system_columns: false,
            locking: false,
            writing_cte: false,
            returning: false,
            calls: Vec::new(),
            operators: Vec::new(),
            sampling: false,
            skip_locked: false,
            uncertain_params: Vec::new(),
        },
        scopes: Vec::new(),
        ctes: Vec::new(),
        params: Vec::new(),
        outer_seen: false,
    };
    walker.statement(statement)?;
    walker.model.uncertain_params = names::uncertain(&walker.params);
    Ok(walker.model)
}

struct Walker<'a> {
    positions: Positions,
    literals: &'a [Literal],
    context: &'a Context,
    schema: &'a Schema,
    model: Model,
    scopes: Vec<Scope<'a>>,
    ctes: Vec<Cte<'a>>,
    /// Every occurrence of a parameter, with the type of the column it meets if it meets one.
    params: Vec<(u32, Option<u32>)>,
    /// Whether a name was found outside its own scope since this was last cleared.
    outer_seen: bool,
}

/// Where an expression or a subquery stands.
#[derive(Clone, Copy)]
struct Site<'a> {
    /// The scope its names are looked up in first.
    scope: usize,
    /// The block whose part it is.
    block: usize,
    /// The innermost CTE it can see; each knows the one before it.
    ctes: Option<usize>,
    /// The WINDOW clause of its SELECT.
    windows: &'a [sqlparser::ast::NamedWindowDefinition],
}

impl<'a> Walker<'a> {
    fn statement(&mut self, statement: &'a Statement) -> Result<(), String> {
        match statement {
            Statement::Query(query) => match query.body.as_ref() {
                SetExpr::Insert(write) | SetExpr::Update(write) | SetExpr::Delete(write) => {
                    self.write_with_ctes(query, write)
                }
                _ => {
                    let scope = self.new_scope(None);
                    self.query(query, scope, None, None, Place::Top)?;
                    Ok(())
                }
            },
            Statement::Insert(insert) => self.insert(insert, None),
            Statement::Update(update) => self.update(update, None),
            Statement::Delete(delete) => self.delete(delete, None),
            // The other hundred kinds are not routed by what they say; recognisers and their tokens decide.
            _ => Err("statements of this kind are not read for routing".into()),
        }
    }

    fn new_block(&mut self, parent: Option<usize>, place: Place) -> Result<usize, String> {
        if self.model.blocks.len() >= MOST_BLOCKS {
            return Err(format!("more than {MOST_BLOCKS} query blocks"));
        }
        self.model.blocks.push(Block { parent, place, ..Block::default() });
        Ok(self.model.blocks.len() - 1)
    }

    fn new_scope(&mut self, parent: Option<usize>) -> usize {
        self.scopes.push(Scope { items: Vec::new(), visible: None, parent });
        self.scopes.len() - 1
    }

    fn new_relation(&mut self, relation: RelationRef) -> usize {
        self.model.relations.push(relation);
        self.model.relations.len() - 1
    }
}

impl Insert {
    /// An INSERT of which nothing is known yet.
    fn empty(columns_at: usize) -> Insert {
        Insert { columns: None, rows: None, columns_at, source: None, on_conflict: None, default_values: false }
    }
}

#[cfg(test)]
mod tests;
