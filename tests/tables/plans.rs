//! Plans as golden files: `plan/*.txt` hold a schema and a map, then statements and how each is planned.
//!
//! A file begins with its world, a line a thing, up to `---`. Then come cases, a blank line between them: the statement,
//! `$ VALUE` for each parameter in text format (`$ NULL` is NULL), and behind `>` the plan. `UPDATE=1` writes the plans
//! anew; lines beginning with `#` are kept.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::path::Path;

use pgweave::config::FunctionDeclaration;
use pgweave::map::{
    Distribution, DistributionId, Epoch, KeyColumn, KeyType, Method, Placement, RangeMap, ShardId, ShardInfo, ShardMap,
    TableName,
};
use pgweave::plan::{Facts, World, explain, plan};
use pgweave::sql::analysis::{Hints, Literal, RoleHint, Values};
use pgweave::sql::lexer::{lex, literals};
use pgweave::sql::schema::{Column, Function, Relation, RelationKind, Volatility};
use pgweave::sql::{Context, Schema, analyse};
use pgweave::wire::frontend::Bind;

/// A file's world.
struct Owned {
    map: ShardMap,
    schema: Schema,
    functions: BTreeMap<String, FunctionDeclaration>,
    safe_triggers: Vec<String>,
    temporary: Vec<String>,
    session: Hints,
    bypass: bool,
}

impl Owned {
    fn parse(header: &str) -> Owned {
        let mut world = Owned {
            map: ShardMap {
                epoch: Epoch(7),
                database: "shop".into(),
                shards: Vec::new(),
                home: ShardId(0),
                distributions: Vec::new(),
                tables: HashMap::new(),
            },
            schema: builtins(),
            functions: BTreeMap::new(),
            safe_triggers: Vec::new(),
            temporary: Vec::new(),
            session: Hints::default(),
            bypass: false,
        };
        for line in header.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            world.line(word, rest.trim());
        }
        world.type_distributions();
        world
    }

    fn shard(&self, name: &str) -> ShardId {
        self.map.shard_named(name).unwrap_or_else(|| panic!("shard {name}")).id
    }

    fn line(&mut self, word: &str, rest: &str) {
        let words: Vec<&str> = rest.split_whitespace().collect();
        match word {
            "shards" => {
                let ids = (0..).map(ShardId);
                self.map.shards = ids.zip(&words).map(|(id, name)| ShardInfo { id, name: (*name).into() }).collect();
            }
            "home" => self.map.home = self.shard(rest),
            "hash" => {
                let ids: Vec<ShardId> = self.map.shards.iter().map(|shard| shard.id).collect();
                self.distribution(words[0], Method::Hash, RangeMap::even(&ids).expect("shards"));
            }
            // range NAME SHARD CUT SHARD … ; `-` is nobody.
            "range" => {
                let owner = |name: &&str| (**name != *"-").then(|| self.shard(name));
                let owners = words[1..].iter().step_by(2).map(owner).collect();
                let cuts =
                    words[2..].iter().step_by(2).map(|cut| cut.split(',').map(str::to_owned).collect()).collect();
                let ranges = RangeMap::untyped(cuts, owners).expect("an owner more than cuts");
                self.distribution(words[0], Method::Range, ranges);
            }
            "sharded" => {
                let (head, columns) = rest.split_once(':').expect("columns");
                let (name, of) = head.trim().split_once(' ').expect("a distribution");
                let (distribution, key) = of.trim().trim_end_matches(')').split_once('(').expect("a key");
                let key = key.split(',').map(|column| column.trim().to_owned()).collect();
                let distribution = self.map.distribution_named(distribution).expect("a known distribution").id;
                self.place(name, Placement::Distributed { distribution, key });
                self.relation(name, RelationKind::Table, columns, None);
            }
            "reference" => {
                let (name, columns) = rest.split_once(':').expect("columns");
                self.place(name.trim(), Placement::Reference);
                self.relation(name.trim(), RelationKind::Table, columns, None);
            }
            "local" => {
                let (head, columns) = rest.split_once(':').expect("columns");
                let (name, shard) = head.trim().split_once(' ').expect("a shard");
                self.place(name, Placement::Local(self.shard(shard)));
                self.relation(name, RelationKind::Table, columns, None);
            }
            "table" | "unlogged" | "partition" | "sequence" => {
                let (name, columns) = rest.split_once(':').unwrap_or((rest, ""));
                let kind = match word {
                    "partition" => RelationKind::Partition,
                    "sequence" => RelationKind::Sequence,
                    _ => RelationKind::Table,
                };
                self.relation(name.trim(), kind, columns, None);
                if word == "unlogged" {
                    self.schema.relations.get_mut(&pair(name.trim())).expect("just added").on_standby = false;
                }
            }
            "view" => {
                let (head, text) = rest.split_once(" as ").expect("a definition");
                let (name, columns) = head.split_once(':').expect("columns");
                self.relation(name.trim(), RelationKind::View, columns, Some(text.into()));
            }
            "code" => {
                let relation = self.schema.relations.get_mut(&pair(words[0])).expect("a table");
                relation.code.extend(words[1..].iter().map(|name| (*name).to_owned()));
            }
            "partitioned" => {
                self.schema.relations.get_mut(&pair(rest)).expect("a table").kind = RelationKind::Partitioned;
            }
            "function" => {
                let function = Function {
                    volatility: volatility(words[1]),
                    builtin: false,
                    aggregate: false,
                    window: false,
                    in_c: words.get(2) == Some(&"c"),
                };
                self.schema.functions.insert(words[0].into(), function);
            }
            "declare" => {
                let declaration = match words[1] {
                    "shard_local" => FunctionDeclaration::ShardLocal,
                    "home" => FunctionDeclaration::Home,
                    _ => FunctionDeclaration::Any,
                };
                self.functions.insert(words[0].into(), declaration);
            }
            "safe" => self.safe_triggers.push(rest.into()),
            "operator" => self.schema.volatile_operators.push(rest.into()),
            "temporary" => self.temporary.push(rest.into()),
            "bypass" => self.bypass = true,
            "set" => match words[..] {
                ["shard", name] => self.session.shard = Some(name.into()),
                ["role", "primary"] => self.session.role = Some(RoleHint::Primary),
                ["role", "replica"] => self.session.role = Some(RoleHint::Replica),
                _ => panic!("set {rest}"),
            },
            other => panic!("{other} is nothing a world has"),
        }
    }

    fn distribution(&mut self, name: &str, method: Method, ranges: RangeMap) {
        let id = DistributionId(self.map.distributions.len() as u16);
        self.map.distributions.push(Distribution { id, name: name.into(), method, key_types: Vec::new(), ranges });
    }

    fn place(&mut self, name: &str, placement: Placement) {
        let (schema, name) = pair(name);
        self.map.tables.insert(TableName { schema, name }, placement);
    }

    fn relation(&mut self, name: &str, kind: RelationKind, columns: &str, view_text: Option<String>) {
        let columns = columns.split(", ").map(str::trim).filter(|column| !column.is_empty()).map(column).collect();
        let relation = Relation { kind, columns, on_standby: true, view_text, code: Vec::new() };
        self.schema.relations.insert(pair(name), relation);
    }

    fn type_distributions(&mut self) {
        for distribution in &mut self.map.distributions {
            let tables = self.map.tables.iter().filter_map(|(table, placement)| match placement {
                Placement::Distributed { distribution: of, key } if *of == distribution.id => Some((table, key)),
                _ => None,
            });
            let Some((table, key)) = tables.min_by_key(|(table, _)| (*table).clone()) else { continue };
            let relation = &self.schema.relations[&(table.schema.clone(), table.name.clone())];
            let types = key.iter().map(|name| {
                let column = relation.columns.iter().find(|column| column.name == *name).expect("a key column");
                KeyType::from_pg(KeyColumn {
                    type_oid: column.type_oid,
                    typmod: column.typmod,
                    deterministic: column.deterministic,
                    not_null: column.not_null,
                    generated: column.generated,
                })
                .expect("a key type")
            });
            *distribution = distribution.with_types(types.collect()).expect("cuts of these types");
        }
    }

    fn world(&self) -> World<'_> {
        World {
            map: &self.map,
            schema: &self.schema,
            functions: &self.functions,
            safe_triggers: &self.safe_triggers,
            facts: Facts { hints: &self.session, may_bypass_routing: self.bypass, temporary: &self.temporary },
        }
    }
}

fn pair(name: &str) -> (String, String) {
    match name.split_once('.') {
        Some((schema, name)) => (schema.into(), name.into()),
        None => ("public".into(), name.into()),
    }
}

/// `NAME TYPE[!][ c]`: `!` is NOT NULL, `c` the C collation.
fn column(text: &str) -> Column {
    let mut words = text.split_whitespace();
    let (name, kind) = (words.next().expect("a name"), words.next().unwrap_or("text"));
    let (type_oid, typmod) = match kind.trim_end_matches('!') {
        "int2" => (21, -1),
        "int4" => (23, -1),
        "int8" => (20, -1),
        "text" => (25, -1),
        "uuid" => (2950, -1),
        "numeric" => (1700, -1),
        "float8" => (701, -1),
        "bool" => (16, -1),
        "timestamptz" => (1184, -1),
        other => {
            let length = other.strip_prefix("varchar(").and_then(|rest| rest.strip_suffix(')'));
            (1043, length.expect("a type").parse::<i32>().expect("a length") + 4)
        }
    };
    Column {
        name: name.into(),
        type_oid,
        typmod,
        not_null: kind.ends_with('!'),
        generated: false,
        deterministic: true,
        byte_order: words.next() == Some("c"),
        has_default: false,
    }
}

fn volatility(word: &str) -> Volatility {
    match word {
        "immutable" => Volatility::Immutable,
        "stable" => Volatility::Stable,
        _ => Volatility::Volatile,
    }
}

/// The part of `pg_proc` that the cases use.
fn builtins() -> Schema {
    let mut schema = Schema { search_path: vec!["public".into()], ..Schema::default() };
    let lists = [
        ("immutable", "lower upper length abs generate_series count sum min max avg string_agg row_number rank unnest"),
        ("stable", "now to_char pg_backend_pid pg_get_viewdef current_setting txid_current_snapshot"),
        ("volatile", "random nextval currval pg_sleep pg_advisory_lock pg_notify txid_current set_config"),
    ];
    for (word, names) in lists {
        for name in names.split_whitespace() {
            let aggregate = matches!(name, "count" | "sum" | "min" | "max" | "avg" | "string_agg");
            let window = matches!(name, "row_number" | "rank");
            let function = Function { volatility: volatility(word), builtin: true, aggregate, window, in_c: true };
            schema.functions.insert(name.into(), function);
        }
    }
    schema
}

/// The body of a Bind with these values in text format.
fn bind_body(params: &[Option<String>]) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 0];
    body.extend((params.len() as u16).to_be_bytes());
    for param in params {
        match param {
            Some(text) => {
                body.extend((text.len() as i32).to_be_bytes());
                body.extend(text.as_bytes());
            }
            None => body.extend((-1i32).to_be_bytes()),
        }
    }
    body.extend([0, 0]);
    body
}

/// How a statement is planned, as lines.
fn planned(owned: &Owned, text: &str, params: &[Option<String>]) -> Vec<String> {
    let context = Context { search_path: owned.schema.search_path.clone(), standard_conforming_strings: true };
    let analysis = analyse::analyse(text, &context, &owned.schema);
    let tokens = lex(text, true).unwrap_or_default();
    let literals: Vec<Literal> = literals(&tokens);
    let body = bind_body(params);
    let bind = Bind::read(&body).expect("a Bind");
    let values = Values { text, literals: &literals, params: Some(bind.params), param_types: &[], utf8: true };
    let plan = plan(&analysis, &values, &owned.world());
    let code = plan.as_ref().err().map(|refusal| refusal.code.to_string());
    let mut lines = explain::explain(&plan, &owned.map).lines();
    if let (Some(first), Some(code)) = (lines.first_mut(), code) {
        let _ = write!(first, " {code}");
    }
    lines
}

/// A file with its plans written anew, and the number of its cases.
fn rewritten(content: &str) -> (String, usize) {
    let (header, cases) = content.split_once("\n---\n").expect("a world and cases");
    let owned = Owned::parse(header);
    let mut out = format!("{header}\n---\n");
    let mut count = 0;
    for case in cases.trim_matches('\n').split("\n\n") {
        let kept: Vec<&str> = case.lines().filter(|line| !line.starts_with('>')).collect();
        let params: Vec<Option<String>> = kept
            .iter()
            .filter_map(|line| line.strip_prefix("$ "))
            .map(|value| (value != "NULL").then(|| value.to_owned()))
            .collect();
        let text: Vec<&str> =
            kept.iter().filter(|line| !line.starts_with("$ ") && !line.starts_with('#')).copied().collect();
        out.push('\n');
        for line in &kept {
            let _ = writeln!(out, "{line}");
        }
        if text.is_empty() {
            continue;
        }
        count += 1;
        for line in planned(&owned, &text.join("\n"), &params) {
            let _ = writeln!(out, "> {line}");
        }
    }
    (out, count)
}

#[test]
fn statements_are_planned_as_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables/plan");
    let mut files: Vec<_> =
        std::fs::read_dir(&folder).expect("the folder").map(|file| file.expect("a file").path()).collect();
    files.sort();
    let mut cases = 0;
    let mut wrong = Vec::new();
    for path in files {
        let content = std::fs::read_to_string(&path).expect("a readable file");
        let (now, count) = rewritten(&content);
        cases += count;
        if now == content {
            continue;
        }
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, now).expect("a writable file");
            continue;
        }
        for (line, (was, is)) in content.lines().zip(now.lines()).enumerate() {
            if was != is {
                wrong.push(format!("{}:{}\n  was {was}\n  is  {is}", path.display(), line + 1));
                break;
            }
        }
        if content.lines().count() != now.lines().count() {
            wrong.push(format!("{} has another number of lines", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\nUPDATE=1 writes them anew.", wrong.join("\n"));
    assert!(cases >= 100, "only {cases} cases were found");
}
