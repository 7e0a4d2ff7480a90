//! What a script is: operations as data, out of any bytes and as lines of JSON.
//!
//! Operations are named after TinyBase's methods, so that its driver calls them by name. There are few ids, and few cells
//! of every kind, so that operations meet.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::dice::Dice;

/// How many bytes make one operation. Removing them removes it, and leaves the others as they are.
pub(crate) const OP_BYTES: usize = 32;

/// How many operations a script has at most.
pub(crate) const MAX_OPS: usize = 40;

/// Stands for `undefined` in changes.
pub(crate) const DELETED: &str = "\u{FFFC}";

/// What is done to a store, step by step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Script(pub(crate) Vec<Op>);

/// One step. Tables, rows and cells are JSON as TinyBase would be given it: objects and arrays stand for themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Op {
    SetCell(String, String, String, Value),
    DelCell(String, String, String),
    SetRow(String, String, Value),
    SetPartialRow(String, String, Value),
    /// With its third argument: whether ids of deleted rows are used again.
    AddRow(String, Value, bool),
    DelRow(String, String),
    SetTable(String, Value),
    DelTable((String,)),
    SetTables((Value,)),
    DelTables(()),
    SetValue(String, Value),
    DelValue((String,)),
    SetValues((Value,)),
    SetPartialValues((Value,)),
    DelValues(()),
    SetContent((Value,)),
    ApplyChanges((Value,)),
    SetJson((String,)),
    SetTablesJson((String,)),
    SetValuesJson((String,)),
    /// Not where there are tables and a transaction is open; and no order is compared then: TinyBase sets them anew as an
    /// object of JavaScript (D13).
    SetTablesSchema((Value,)),
    DelTablesSchema(()),
    /// The same with values.
    SetValuesSchema((Value,)),
    DelValuesSchema(()),
    /// With the cell to sort by, or the row's id; whether descending; offset and limit.
    SortedRowIds(String, Option<String>, bool, usize, Option<usize>),
    /// A transaction begins; the steps up to its end belong to it.
    Begin((Begin,)),
    /// The innermost transaction ends.
    End((End,)),
    Listen(Listen),
    /// The listener of this number, counted round, is removed.
    Unlisten((usize,)),
}

/// How a transaction is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Begin {
    /// With a function that does the steps.
    Call,
    /// Started and finished by hand. It cannot fail.
    ByHand,
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum End {
    Commit,
    /// By an error.
    Fail,
    /// By `doRollback`, which only the outermost transaction asks.
    DoRollback,
}

/// A listener: every call of it is part of the trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listen {
    pub(crate) kind: Kind,
    /// `None` is any id. As many as the kind has.
    pub(crate) ids: Vec<Option<String>>,
    pub(crate) role: Role,
    pub(crate) does: Does,
}

/// When a listener is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Role {
    /// Before the transaction is committed.
    Mutator,
    /// After.
    Listener,
}

/// What a listener does besides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Does {
    Nothing,
    Write(Vec<Op>),
    Fail,
}

macro_rules! kinds {
    ($($kind:ident $ids:literal)*) => {
        /// What a listener listens to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub(crate) enum Kind {
            $($kind,)*
        }

        impl Kind {
            const ALL: &[Self] = &[$(Self::$kind,)*];

            /// How many ids it has.
            pub(crate) fn ids(self) -> usize {
                match self {
                    $(Self::$kind => $ids,)*
                }
            }
        }
    };
}

kinds! {
    Cell 3 HasCell 3 CellIds 2 Row 2 HasRow 2 RowIds 1 SortedRowIds 1 RowCount 1 Table 1 HasTable 1 TableIds 0
    TableCellIds 1 HasTableCell 2 Tables 0 HasTables 0 InvalidCell 3
    Value 1 HasValue 1 ValueIds 0 Values 0 HasValues 0 InvalidValue 1
    StartTransaction 0 WillFinishTransaction 0 DidFinishTransaction 0
}

impl Kind {
    /// Which kinds are told in turn, while a transaction's tables, rows and cells are gone through.
    pub(crate) fn phase(self) -> Option<&'static str> {
        match self {
            Self::TableIds | Self::HasTable => Some("table ids"),
            Self::TableCellIds | Self::HasTableCell => Some("table cell ids"),
            Self::RowCount => Some("row counts"),
            Self::RowIds | Self::HasRow | Self::SortedRowIds => Some("row ids"),
            Self::CellIds | Self::HasCell => Some("cell ids"),
            Self::Cell | Self::Row | Self::Table => Some("cells"),
            Self::ValueIds | Self::HasValue => Some("value ids"),
            Self::Value => Some("values"),
            Self::InvalidCell => Some("invalid cells"),
            Self::InvalidValue => Some("invalid values"),
            _ => None,
        }
    }

    fn is_stage(self) -> bool {
        matches!(self, Self::StartTransaction | Self::WillFinishTransaction | Self::DidFinishTransaction)
    }
}

impl Script {
    /// A script out of any bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.chunks(OP_BYTES).take(MAX_OPS).map(|bytes| op(&mut Dice::new(bytes))).collect())
    }
}

fn op(dice: &mut Dice<'_>) -> Op {
    match dice.below(32) {
        0..16 => write(dice),
        16..19 => Op::Begin((if dice.below(4) == 3 { Begin::ByHand } else { Begin::Call },)),
        19..22 => Op::End((dice.pick(&[End::Commit, End::Commit, End::Fail, End::DoRollback]),)),
        22..28 => Op::Listen(listen(dice)),
        28 => Op::Unlisten((dice.below(8),)),
        29 => sorted(dice),
        _ => schema(dice),
    }
}

fn write(dice: &mut Dice<'_>) -> Op {
    match dice.below(40) {
        0..6 => Op::SetCell(id(dice), id(dice), id(dice), cell(dice)),
        6..10 => Op::DelCell(id(dice), id(dice), id(dice)),
        10..13 => Op::SetRow(id(dice), id(dice), row(dice)),
        13..15 => Op::SetPartialRow(id(dice), id(dice), row(dice)),
        15..18 => Op::AddRow(id(dice), row(dice), dice.below(3) < 2),
        18..20 => Op::DelRow(id(dice), id(dice)),
        20..22 => Op::SetTable(id(dice), table(dice)),
        22 => Op::DelTable((id(dice),)),
        23..25 => Op::SetTables((tables(dice),)),
        25 => Op::DelTables(()),
        26..29 => Op::SetValue(id(dice), cell(dice)),
        29 => Op::DelValue((id(dice),)),
        30 => Op::SetValues((row(dice),)),
        31 => Op::SetPartialValues((row(dice),)),
        32 => Op::DelValues(()),
        33 => Op::SetContent((json!([tables(dice), row(dice)]),)),
        34..37 => Op::ApplyChanges((changes(dice),)),
        37 => Op::SetJson((text(dice, |dice| json!([tables(dice), row(dice)])),)),
        38 => Op::SetTablesJson((text(dice, tables),)),
        _ => Op::SetValuesJson((text(dice, row),)),
    }
}

fn listen(dice: &mut Dice<'_>) -> Listen {
    let kind = dice.pick(Kind::ALL);
    let role = if dice.below(3) == 2 && !kind.is_stage() { Role::Mutator } else { Role::Listener };
    let mut ids: Vec<_> = (0..kind.ids()).map(|_| (dice.below(4) == 3).then(|| id(dice))).collect();
    if kind == Kind::SortedRowIds {
        ids = vec![Some(id(dice))];
    }
    // What others write is told in another round (D4).
    let may_write = role == Role::Mutator || matches!(kind, Kind::StartTransaction | Kind::WillFinishTransaction);
    // Who fails is the last that is told: not where it is not compared who is told first (D18).
    let may_fail = (role == Role::Mutator && kind.ids() == 0) || kind == Kind::WillFinishTransaction;
    let does = match dice.below(8) {
        1..5 if may_write => Does::Write((0..=dice.below(2)).map(|_| write(dice)).collect()),
        7 if may_fail => Does::Fail,
        _ => Does::Nothing,
    };
    if role == Role::Mutator && does != Does::Nothing {
        // Nor do two write of which it is not compared who does so first.
        ids.fill(Some("a".into()));
    }
    Listen { kind, ids, role, does }
}

fn sorted(dice: &mut Dice<'_>) -> Op {
    let cell_id = (dice.below(3) < 2).then(|| id(dice));
    let limit = (dice.below(2) == 1).then(|| dice.below(4));
    Op::SortedRowIds(id(dice), cell_id, dice.below(2) == 1, dice.below(3), limit)
}

fn schema(dice: &mut Dice<'_>) -> Op {
    match dice.below(8) {
        0..3 => Op::SetTablesSchema((object(dice, |dice, _| object(dice, cell_schema)),)),
        3 | 4 => Op::SetTablesSchema((json!({"a": object(dice, cell_schema)}),)),
        5 => Op::SetValuesSchema((object(dice, cell_schema),)),
        6 => Op::DelTablesSchema(()),
        _ => Op::DelValuesSchema(()),
    }
}

fn cell_schema(dice: &mut Dice<'_>, id: &str) -> Value {
    let all = [
        json!({"type": "number"}),
        json!({"type": "string", "default": "a"}),
        json!({"type": "number", "default": 1}),
        json!({"type": "number", "required": true}),
        json!({"type": "boolean", "default": false}),
        json!({"type": ["number", "string"], "allowNull": true}),
        json!({"type": "string", "default": null, "allowNull": true}),
        json!({"type": "object", "default": {"b": 1, "2": []}}),
        json!({"type": ["array", "object"], "default": [1], "required": true}),
        json!({"enum": [1, "a", true], "default": "a"}),
        json!({"enum": ["a", "b"], "allowNull": true, "required": true}),
        json!({"type": ["string", "boolean", "number", "object", "array"], "default": 0.1}),
        json!({"type": "bird"}),
        json!({}),
        json!({"enum": []}),
        json!({"type": "number", "default": "x"}),
        json!({"type": "number", "default": null}),
        json!({"type": "string", "unknown": 1}),
    ];
    let mut schema = all[dice.below(all.len())].clone();
    if !may_have_default(id)
        && let Some(schema) = schema.as_object_mut()
    {
        schema.remove("default");
    }
    schema
}

/// Which cells schemas give defaults to: none that JavaScript's objects would put first (D13). Changes do not delete
/// these (D9).
fn may_have_default(id: &str) -> bool {
    id == "b"
}

fn id(dice: &mut Dice<'_>) -> String {
    dice.pick(&["a", "b", "a", "2", "10", "0", "__proto__", ""]).into()
}

fn cell(dice: &mut Dice<'_>) -> Value {
    match dice.below(24) {
        0 => json!(1),
        1 => Value::Null,
        2 => json!(true),
        3 => json!(false),
        4 => json!(0),
        5 => json!(-0.0),
        6 => json!(2),
        7 => json!(0.1),
        8 => json!(1e21),
        9 => json!(-1.5e-7),
        10 => json!(""),
        11 => json!("a"),
        12 => json!("b"),
        13 => json!("1"),
        14 => json!("\u{1F600}"),
        15 => json!({}),
        16 => json!({"b": 1, "2": [null, ""]}),
        17 => json!({"__proto__": {"a": "\u{1F600}"}}),
        18 => json!([]),
        19 => json!([1, "2", {}]),
        20 => json!(10),
        21 => json!("10"),
        22 => json!("2"),
        _ => json!([[], 0.1]),
    }
}

fn row(dice: &mut Dice<'_>) -> Value {
    object(dice, |dice, _| cell(dice))
}

fn table(dice: &mut Dice<'_>) -> Value {
    object(dice, |dice, _| row(dice))
}

fn tables(dice: &mut Dice<'_>) -> Value {
    object(dice, |dice, _| table(dice))
}

fn changes(dice: &mut Dice<'_>) -> Value {
    let is_deleted = |dice: &mut Dice<'_>| dice.below(3) == 2;
    let cells = |dice: &mut Dice<'_>, _: &str| match is_deleted(dice) {
        true => json!(DELETED),
        false => object(dice, |dice, id| match is_deleted(dice) && !may_have_default(id) {
            true => json!(DELETED),
            false => cell(dice),
        }),
    };
    let tables = object(dice, |dice, _| if is_deleted(dice) { json!(DELETED) } else { object(dice, cells) });
    let values = object(dice, |dice, _| if is_deleted(dice) { json!(DELETED) } else { cell(dice) });
    json!([tables, values, 1])
}

/// Of none to two entries.
fn object(dice: &mut Dice<'_>, entry: impl Fn(&mut Dice<'_>, &str) -> Value) -> Value {
    let entries = [1, 2, 1, 0, 2][dice.below(5)];
    let mut object = Map::new();
    for _ in 0..entries {
        let id = id(dice);
        let entry = entry(dice, &id);
        object.insert(id, entry);
    }
    Value::Object(object)
}

/// The JSON of a thing, or a part of it, or something else.
fn text(dice: &mut Dice<'_>, thing: impl Fn(&mut Dice<'_>) -> Value) -> String {
    let odd = ["", "[", "{", "null", "[{},{}]", "{}", "[{}]", "[{},null]", r#"{"a":1}"#, r#"[{"a":{"a":[]}},{}]"#];
    match dice.below(8) {
        0..5 => thing(dice).to_string(),
        5 => json!([thing(dice)]).to_string(),
        6 => {
            let text = thing(dice).to_string();
            text.chars().take(dice.below(text.len() + 1)).collect()
        }
        _ => dice.pick(&odd).into(),
    }
}
