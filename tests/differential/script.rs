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
    /// A transaction begins; the steps up to its end belong to it.
    Begin(()),
    /// The innermost transaction ends.
    End((End,)),
    Listen(Listen),
    /// The listener of this number, counted round, is removed.
    Unlisten((usize,)),
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum End {
    Commit,
    /// By an error.
    Fail,
}

/// A listener: every call of it is part of the trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listen {
    pub(crate) kind: Kind,
    /// `None` is any id. As many as the kind has.
    pub(crate) ids: Vec<Option<String>>,
    pub(crate) does: Does,
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
    Cell 3 CellIds 2 Row 2 RowIds 1 Table 1 TableIds 0 Tables 0 Value 1 ValueIds 0 Values 0
    StartTransaction 0 WillFinishTransaction 0 DidFinishTransaction 0
}

impl Kind {
    /// Which kinds tell of ids that came and went in turn, and how many ids those have that they are in.
    pub(crate) fn family(self) -> Option<(&'static str, usize)> {
        match self {
            Self::TableIds => Some(("tables", 0)),
            Self::RowIds => Some(("rows", 1)),
            Self::CellIds => Some(("cells", 2)),
            Self::ValueIds => Some(("values", 0)),
            _ => None,
        }
    }

    /// Whether what such a listener writes belongs to the transaction. Of others it is a deliberate difference.
    fn may_write(self) -> bool {
        matches!(self, Self::StartTransaction | Self::WillFinishTransaction)
    }
}

impl Script {
    /// A script out of any bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.chunks(OP_BYTES).take(MAX_OPS).map(|bytes| op(&mut Dice::new(bytes))).collect())
    }
}

fn op(dice: &mut Dice<'_>) -> Op {
    match dice.below(100) {
        0..16 => write(dice),
        16..26 => Op::SetCell(id(dice), id(dice), id(dice), cell(dice)),
        26..40 => write(dice),
        40..54 => write(dice),
        54..66 => Op::Begin(()),
        66..78 => Op::End((if dice.below(3) == 2 { End::Fail } else { End::Commit },)),
        78..97 => Op::Listen(listen(dice)),
        _ => Op::Unlisten((dice.below(8),)),
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
    let ids = (0..kind.ids()).map(|_| (dice.below(2) == 1).then(|| id(dice))).collect();
    let does = match dice.below(4) {
        _ if !kind.may_write() => Does::Nothing,
        0 | 1 => Does::Write((0..=dice.below(2)).map(|_| write(dice)).collect()),
        2 => Does::Nothing,
        // One that fails for ever would leave little of the rest.
        _ if false => Does::Fail,
        _ => Does::Nothing,
    };
    Listen { kind, ids, does }
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
    object(dice, cell)
}

fn table(dice: &mut Dice<'_>) -> Value {
    object(dice, row)
}

fn tables(dice: &mut Dice<'_>) -> Value {
    object(dice, table)
}

fn changes(dice: &mut Dice<'_>) -> Value {
    let cells = |dice: &mut Dice<'_>| object(dice, |dice| or_deleted(dice, cell));
    let rows = |dice: &mut Dice<'_>| object(dice, |dice| or_deleted(dice, cells));
    let tables = object(dice, |dice| or_deleted(dice, rows));
    json!([tables, cells(dice), 1])
}

fn or_deleted(dice: &mut Dice<'_>, thing: impl Fn(&mut Dice<'_>) -> Value) -> Value {
    if dice.below(3) == 2 { json!(DELETED) } else { thing(dice) }
}

/// Of none to two entries.
fn object(dice: &mut Dice<'_>, entry: impl Fn(&mut Dice<'_>) -> Value) -> Value {
    let entries = [1, 2, 1, 0, 2][dice.below(5)];
    Value::Object((0..entries).map(|_| (id(dice), entry(dice))).collect::<Map<_, _>>())
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
