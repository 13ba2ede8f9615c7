//! What one statement asks, resolved against the schema but not against any map.
//!
//! An [`Analysis`] is made once per text and shared. It holds no values: where the text has a literal or a parameter it has
//! a slot, filled from [`Values`] when a plan is made.

use std::ops::Range;

use crate::wire::frontend::Params;

/// What one statement asks.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    /// What kind of statement it is. Decided by our own recognisers from tokens, never by the parser alone.
    pub kind: Kind,
    /// Hints in comments.
    pub hints: Hints,
    /// The names called like functions, folded, without schema. Over-approximated from tokens (`in (` and other keywords left out).
    pub functions: Vec<String>,
    /// State it leaves on its server that the next client must not see; `None` for statements that leave nothing.
    pub pin: Option<Pin>,
    /// Whether any token could write or lock: INSERT, UPDATE, DELETE, MERGE, INTO, FOR UPDATE/SHARE, or a kind that is no query.
    pub may_write: bool,
    /// What routing uses.
    pub body: Body,
}

impl Analysis {
    /// A text of which nothing is known: it may be any statement, or several.
    pub fn opaque() -> Analysis {
        Analysis {
            kind: Kind::Unknown,
            hints: Hints::default(),
            functions: vec!["?".to_owned()],
            pin: Some(Pin::Setting { custom: true }),
            may_write: true,
            body: Body::Tokens { names: Vec::new(), reason: "it cannot be read".to_owned() },
        }
    }
}

/// What routing knows of a statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// Parsed, guarded and walked.
    Understood(Box<Model>),
    /// Not a statement with rows (transaction control, SET, …), or one of which only the tokens are known.
    Tokens {
        /// Every identifier that could name a relation, folded, with its schema if it was qualified.
        names: Vec<(Option<String>, String)>,
        /// Why it was not understood; empty for kinds that are not parsed at all.
        reason: String,
    },
}

/// What a statement is, as far as a session must know.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Nothing but blanks and comments.
    Empty,
    /// SELECT, VALUES, TABLE, WITH … SELECT. (A writing CTE makes `may_write` true.)
    Select,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
    /// MERGE.
    Merge,
    /// BEGIN or START TRANSACTION.
    Begin(TxModes),
    /// COMMIT or END.
    Commit {
        /// AND CHAIN.
        chain: bool,
    },
    /// ROLLBACK or ABORT.
    Rollback {
        /// AND CHAIN.
        chain: bool,
    },
    /// SAVEPOINT.
    Savepoint(String),
    /// RELEASE [SAVEPOINT].
    Release(String),
    /// ROLLBACK TO [SAVEPOINT].
    RollbackTo(String),
    /// PREPARE TRANSACTION, COMMIT PREPARED, ROLLBACK PREPARED.
    TwoPhase,
    /// SET, RESET, SET ROLE, SET TRANSACTION and their kin.
    Set(Set),
    /// SHOW; the folded name (`transaction_isolation` for `TRANSACTION ISOLATION LEVEL`, `all`).
    Show(String),
    /// DISCARD; folded: `all`, `plans`, `sequences`, `temp`.
    Discard(String),
    /// SQL-level PREPARE; the name.
    Prepare(String),
    /// SQL-level EXECUTE; the name.
    Execute(String),
    /// DEALLOCATE; `None` is ALL.
    Deallocate(Option<String>),
    /// DECLARE … CURSOR.
    Declare {
        /// The cursor's name.
        name: String,
        /// WITH HOLD.
        hold: bool,
    },
    /// FETCH, MOVE, CLOSE.
    Cursor,
    /// LISTEN, UNLISTEN, NOTIFY.
    Notification,
    /// COPY.
    Copy(Copy),
    /// EXPLAIN.
    Explain {
        /// With ANALYZE: it runs.
        analyze: bool,
        /// `EXPLAIN (ROUTE)`: ours. The range is the statement inside.
        route: Option<Range<usize>>,
    },
    /// LOCK TABLE.
    Lock,
    /// CREATE, ALTER, DROP, GRANT, COMMENT, … ; the first keyword, folded.
    Ddl(String),
    /// CALL, DO, TRUNCATE, VACUUM, ANALYZE, CHECKPOINT, … ; the first keyword, folded.
    Utility(String),
    /// The first word is none that PostgreSQL knows; PostgreSQL is to say so.
    Unknown,
}

/// The modes of BEGIN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TxModes {
    /// READ ONLY / READ WRITE if said.
    pub read_only: Option<bool>,
    /// The isolation level if said.
    pub isolation: Option<Isolation>,
}

/// Isolation levels (READ UNCOMMITTED is READ COMMITTED in PostgreSQL).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// READ COMMITTED and READ UNCOMMITTED.
    ReadCommitted,
    /// REPEATABLE READ.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

/// A SET or RESET.
#[derive(Clone, Debug, PartialEq)]
pub struct Set {
    /// The folded name: a GUC, or `role`, `session authorization`, `transaction`, `session characteristics`, `constraints`,
    /// `time zone` as `timezone`, `names` as `client_encoding`; `all` for RESET ALL.
    pub name: String,
    /// SET LOCAL (and SET TRANSACTION, SET CONSTRAINTS).
    pub local: bool,
    /// The value as one plain literal or word, unescaped; `None` for RESET, DEFAULT, and lists.
    pub value: Option<String>,
    /// RESET, or SET … TO DEFAULT.
    pub reset: bool,
}

/// A COPY.
#[derive(Clone, Debug, PartialEq)]
pub struct Copy {
    /// FROM.
    pub from: bool,
    /// STDIN or STDOUT (else a file or program on the server).
    pub stdio: bool,
    /// The table copied, or `None` for COPY (query).
    pub table: Option<(Option<String>, String)>,
}

/// Hints in comments: `/* pgweave: shard=s1, key=42, role=primary */`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// `shard=`: the shard's name.
    pub shard: Option<String>,
    /// `key=`: a sharding key's text; with `table=` or `distribution=` when the statement does not tell which.
    pub key: Option<String>,
    /// `distribution=`.
    pub distribution: Option<String>,
    /// `role=`.
    pub role: Option<RoleHint>,
    /// Words after `pgweave:` that are no hint: an error.
    pub unknown: Option<String>,
}

/// `role=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleHint {
    /// `role=primary`.
    Primary,
    /// `role=replica`.
    Replica,
}

/// Why a session must keep its server (or what must be undone before another client gets it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// A setting was changed for the session. With a custom (dotted) name DISCARD ALL does not undo it wholly: the server
    /// is closed instead.
    Setting {
        /// Whether a dotted name, or a name that is not a constant, is set.
        custom: bool,
    },
    /// A temporary table, by folded name if known; it shadows others.
    Temporary(Option<String>),
    /// A session-level advisory lock.
    AdvisoryLock,
    /// SQL PREPARE.
    Prepared,
    /// DECLARE … WITH HOLD.
    HoldCursor,
    /// LISTEN.
    Listen,
    /// Any other statement that is no plain SELECT/INSERT/UPDATE/DELETE/transaction command.
    Other,
}

/// The value slots of a statement, given when it is planned.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The client's text; literal slots are ranges of it.
    pub text: &'a str,
    /// The literals of `text` in order of appearance, as the lexer found them.
    pub literals: &'a [Literal],
    /// Bound parameters; `None` when only a Parse is at hand.
    pub params: Option<Params<'a>>,
    /// The parameter types the client fixed in Parse, four big-endian bytes each (may be shorter than the parameters).
    pub param_types: &'a [u8],
    /// Whether the client's encoding is UTF8.
    pub utf8: bool,
}

/// A literal in a text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Literal {
    /// Its bytes in the text, quotes included.
    pub span: Range<u32>,
    /// What it is.
    pub kind: LiteralKind,
}

/// Kinds of literals; part of the fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LiteralKind {
    /// Digits only.
    Integer,
    /// Any other number.
    Number,
    /// `'…'`, with `''` as the only escape.
    String,
    /// `E'…'`.
    EscapeString,
    /// `$tag$…$tag$`.
    DollarString,
    /// `B'…'` or `X'…'`.
    BitString,
    /// `U&'…'`.
    UnicodeString,
    /// `N'…'`.
    NationalString,
}

/// A reference to a column of one of the statement's relations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ColumnRef {
    /// Index into [`Model::relations`].
    pub relation: usize,
    /// Index into the schema relation's `columns`.
    pub column: usize,
}

/// A value that a plan can look up.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// `$n`, 1-based.
    Param(u32),
    /// The n-th literal of the text, 0-based.
    Literal(u32),
    /// The same with a unary minus before it.
    Negated(u32),
    /// NULL.
    Null,
    /// A cast of one of the above to a type, named as in the text, folded, with its modifiers (`varchar(3)`).
    Cast(Box<Operand>, String),
    /// Anything else; it is nobody's key.
    Opaque,
}

/// A condition as far as keys are concerned. What is not understood is `Unknown`.
#[derive(Clone, Debug, PartialEq)]
pub enum Cond {
    /// All hold.
    And(Vec<Cond>),
    /// One holds.
    Or(Vec<Cond>),
    /// A column compared with a value.
    Compare {
        /// The column.
        column: ColumnRef,
        /// The operator, the column on its left.
        op: CompareOp,
        /// The value.
        value: Operand,
    },
    /// `column IN (…)` and `column = ANY(ARRAY[…])`.
    In {
        /// The column.
        column: ColumnRef,
        /// The values.
        values: Vec<Operand>,
    },
    /// `column = ANY($1)` or `= ANY('{…}')`: one operand that is an array.
    AnyArray {
        /// The column.
        column: ColumnRef,
        /// The array.
        array: Operand,
    },
    /// `(a, b) IN ((1, 2), …)`; `(a, b) = (1, 2)` is this with one row.
    RowIn {
        /// The columns.
        columns: Vec<ColumnRef>,
        /// The rows, as wide as `columns`.
        rows: Vec<Vec<Operand>>,
    },
    /// Two columns are equal.
    Same(ColumnRef, ColumnRef),
    /// It can be anything.
    Unknown,
}

/// Comparison operators that keys understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareOp {
    /// `=`
    Eq,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// A parsed statement as planning needs it. Everything that is not represented here made the walk fail.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Every table reference of the statement, subqueries and the target of a write included.
    pub relations: Vec<RelationRef>,
    /// The query blocks; the first is the statement itself.
    pub blocks: Vec<Block>,
    /// The target of INSERT, UPDATE or DELETE: index into `relations`.
    pub target: Option<usize>,
    /// The rows of an INSERT.
    pub insert: Option<Insert>,
    /// Columns an UPDATE (or ON CONFLICT DO UPDATE) assigns, by index in the target.
    pub assigned: Vec<usize>,
    /// A system column (ctid, xmin, tableoid, …) is named.
    pub system_columns: bool,
    /// FOR UPDATE / SHARE / … anywhere.
    pub locking: bool,
    /// A CTE, derived table or subquery writes.
    pub writing_cte: bool,
    /// RETURNING.
    pub returning: bool,
    /// Every function called by name anywhere, folded, without schema; each once.
    pub calls: Vec<String>,
    /// Every operator that has no word of its own in the grammar, and the comparisons; each once.
    pub operators: Vec<String>,
    /// TABLESAMPLE anywhere.
    pub sampling: bool,
    /// SKIP LOCKED anywhere.
    pub skip_locked: bool,
    /// Parameters whose type PostgreSQL may infer from a place other than the key they are compared with.
    pub uncertain_params: Vec<u32>,
}

/// A table reference.
#[derive(Clone, Debug, PartialEq)]
pub struct RelationRef {
    /// The schema it was resolved to.
    pub schema: String,
    /// The name as stored.
    pub name: String,
    /// Its alias if it has one.
    pub alias: Option<String>,
    /// The bytes of the reference in the text: name, ONLY and alias included.
    pub span: Range<usize>,
    /// The block it stands in.
    pub block: usize,
    /// Whether an outer join may extend it with NULLs.
    pub nullable: bool,
}

/// One SELECT (or the body of a write).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    /// The block around it.
    pub parent: Option<usize>,
    /// Whether it is a derived table, CTE, scalar subquery, EXISTS/IN, or a branch of a set operation.
    pub place: Place,
    /// WHERE and inner ON, each a conjunct.
    pub conds: Vec<Cond>,
    /// ON conditions of outer joins: they constrain only the relations named.
    pub outer_conds: Vec<(Vec<usize>, Cond)>,
    /// GROUP BY is there: its plain columns; an expression is `None`, and grouping sets give one `None`.
    pub group_by: Option<Vec<Option<ColumnRef>>>,
    /// DISTINCT: `Some` with the plain columns it is over (the select list, or ON's).
    pub distinct: Option<Vec<Option<ColumnRef>>>,
    /// An aggregate is called at this level.
    pub aggregate: bool,
    /// PARTITION BY lists of its window functions.
    pub windows: Vec<Vec<Option<ColumnRef>>>,
    /// ORDER BY.
    pub order_by: bool,
    /// LIMIT, OFFSET or FETCH.
    pub limit: bool,
    /// HAVING.
    pub having: bool,
    /// The output columns where they are plain columns.
    pub outputs: Vec<Option<ColumnRef>>,
    /// The output columns where they are values that a plan can look up; as long as `outputs`.
    pub output_values: Vec<Option<Operand>>,
    /// Whether the outputs are not all known (`*` of a relation without known columns): `outputs` ends where it begins.
    pub open_outputs: bool,
}

/// Where a block stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// The statement itself.
    #[default]
    Top,
    /// In FROM.
    Derived,
    /// In WITH.
    Cte,
    /// In an expression.
    Expression,
    /// A branch of UNION ALL.
    UnionAll,
    /// A branch of any other set operation.
    SetOperation,
}

/// What an INSERT inserts.
#[derive(Clone, Debug, PartialEq)]
pub struct Insert {
    /// The columns given, by index in the target; `None` when the list is missing.
    pub columns: Option<Vec<usize>>,
    /// VALUES rows; `None` for INSERT … SELECT and DEFAULT VALUES. `None` inside a row is DEFAULT.
    pub rows: Option<Vec<Vec<Option<Operand>>>>,
    /// Where a missing column list would be spliced in: the byte behind the table reference.
    pub columns_at: usize,
    /// The block of the SELECT of an INSERT … SELECT.
    pub source: Option<usize>,
    /// ON CONFLICT: its arbiter columns (`None` when it has no plain column list) and whether it is DO UPDATE.
    pub on_conflict: Option<(Option<Vec<usize>>, bool)>,
    /// DEFAULT VALUES.
    pub default_values: bool,
}
