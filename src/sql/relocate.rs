//! Moving the byte ranges of an [`Analysis`] from the text it was made from to another that differs only in the length of
//! its lifted literals and of the comments before it.

use super::analysis::{Analysis, Body, Insert, Kind, Literal, Model, RelationRef};

/// Calls `each` with every byte position that an analysis holds.
///
/// The patterns name every field of the types that hold positions, so that a new one cannot be forgotten here.
fn positions(analysis: &mut Analysis, each: &mut impl FnMut(&mut usize)) {
    let Analysis { kind, hints: _, functions: _, pin: _, may_write: _, body } = analysis;
    if let Kind::Explain { analyze: _, route: Some(range) } = kind {
        each(&mut range.start);
        each(&mut range.end);
    }
    let Body::Understood(model) = body else { return };
    let Model {
        relations,
        blocks: _,
        target: _,
        insert,
        assigned: _,
        system_columns: _,
        locking: _,
        writing_cte: _,
        returning: _,
        calls: _,
        operators: _,
        sampling: _,
        skip_locked: _,
        uncertain_params: _,
    } = &mut **model;
    for relation in relations {
        let RelationRef { schema: _, name: _, alias: _, span, block: _, nullable: _ } = relation;
        each(&mut span.start);
        each(&mut span.end);
    }
    if let Some(insert) = insert {
        let Insert { columns: _, rows: _, columns_at, source: _, on_conflict: _, default_values: _ } = insert;
        each(columns_at);
    }
}

/// The last byte position that an analysis holds, 0 for none. (The analysis is left as it is.)
pub fn last_position(analysis: &mut Analysis) -> usize {
    let mut last = 0;
    positions(analysis, &mut |position| last = last.max(*position));
    last
}

/// The same analysis for a text whose first token begins at `to_start` instead of `from_start` and whose literals lie at
/// `to` instead of `from`; both list all literals of their text, and all else between first and last token is the same.
pub fn relocate(
    analysis: &Analysis,
    (from_start, from): (u32, &[Literal]),
    (to_start, to): (u32, &[Literal]),
) -> Analysis {
    let mut moved = analysis.clone();
    positions(&mut moved, &mut |position| {
        // The last literal that ends at or before the position tells by how much it has moved.
        let before = from.partition_point(|literal| literal.span.end as usize <= *position);
        let (old, new) = match before.checked_sub(1) {
            Some(index) => (from[index].span.end, to[index].span.end),
            None => (from_start, to_start),
        };
        *position = *position - old as usize + new as usize;
    });
    moved
}
