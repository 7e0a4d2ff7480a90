//! Runs scripts on our [`Store`], and tells of each step as the driver of TinyBase does.

use std::{
    cell::Cell,
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use roommate::{
    ANY, CellKind, Changes, Content, Error, ErrorKind, Id, Pattern, Result, Row, Sort, Store, Subscription, Table,
    TablesSchema, ValuesSchema,
};
use serde_json::{Value, json};

use super::{
    listening::listen,
    script::{Begin, Does, End, Kind, Listen, Op, Script},
    show,
};

/// What a store does step by step: of each what came of it, the listeners' calls in order, and what the store holds then.
pub(crate) fn run(script: &Script) -> Vec<Value> {
    let mut trace = Vec::new();
    World::default().run(script, |world, step| {
        let content = match step.kind {
            StepKind::SetAnew => show::content_in_order_of_ids(&world.store),
            _ => show::content(&world.store),
        };
        trace.push(json!([step.result, step.calls, content]));
    });
    trace
}

/// What a step did.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) result: Value,
    pub(crate) calls: Vec<Value>,
    pub(crate) kind: StepKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepKind {
    /// A transaction is open.
    Inside,
    /// Everything that the step did is final.
    Done,
    /// The same, and what the store holds was set anew, in an order that is not compared.
    SetAnew,
    /// Everything that the step did was rolled back.
    RolledBack,
    /// The store was emptied and filled again, while listeners were not to hear of it.
    Rebuilt,
}

/// The store of a script and what its listeners do.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) heard: Arc<Heard>,
}

/// What the listeners of a script share.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    calls: Mutex<Vec<Value>>,
    muted: AtomicBool,
    /// Whether the open transaction was taken back by `doRollback`: then will-finish listeners do not write.
    taken_back: AtomicBool,
}

struct Run<'a> {
    world: &'a World,
    steps: std::slice::Iter<'a, Op>,
    subscriptions: Vec<Option<Subscription>>,
    depth: usize,
    look: Look<'a>,
}

/// Who looks at the store after each step.
type Look<'a> = Box<dyn FnMut(&World, Step) + 'a>;

/// What a script's own failures panic with.
struct Failed;

impl World {
    /// Runs a script, and looks at the store after each step.
    pub(crate) fn run(&self, script: &Script, look: impl FnMut(&Self, Step)) {
        let look = Box::new(look);
        let mut run = Run { world: self, steps: script.0.iter(), subscriptions: Vec::new(), depth: 0, look };
        while let Some(op) = run.steps.next() {
            run.step(op);
        }
    }
}

impl Run<'_> {
    /// One step, which a listener that fails may undo.
    fn step(&mut self, op: &Op) {
        if self.depth > 0 {
            let result = self.perform(op);
            return self.told(result, StepKind::Inside);
        }
        let before = self.world.store.content();
        let sets_anew = match op {
            Op::SetTablesSchema(_) => !before.tables.is_empty(),
            Op::SetValuesSchema(_) => !before.values.is_empty(),
            _ => false,
        };
        let result = catch_unwind(AssertUnwindSafe(|| self.perform(op)));
        self.depth = 0;
        self.world.heard.taken_back.store(false, Ordering::Relaxed);
        match result {
            Ok(result) if result != "undone" && !sets_anew => self.told(result, StepKind::Done),
            Ok(result) if result != "undone" => {
                self.told(result, StepKind::SetAnew);
                self.rebuild(&in_order_of_ids(self.world.store.content()));
            }
            result => {
                if let Err(panic) = result
                    && !panic.is::<Failed>()
                {
                    resume_unwind(panic);
                }
                self.told(json!("undone"), StepKind::RolledBack);
                self.rebuild(&before);
            }
        }
    }

    fn told(&mut self, result: Value, kind: StepKind) {
        let calls = mem::take(&mut *self.world.heard.calls.lock().unwrap_or_else(PoisonError::into_inner));
        (self.look)(self.world, Step { result, calls, kind });
    }

    fn perform(&mut self, op: &Op) -> Value {
        match op {
            Op::Begin((begin,)) => self.transaction(*begin),
            Op::End(_) => json!("nothing"),
            Op::Listen(what) => {
                let number = self.subscriptions.len();
                self.subscriptions.push(Some(listen(self.world, number, what)));
                Value::Null
            }
            Op::Unlisten((number,)) => {
                let number = number % self.subscriptions.len().max(1);
                drop(self.subscriptions.get_mut(number).and_then(Option::take));
                Value::Null
            }
            Op::SetTablesSchema(_) if self.depth > 0 && self.world.store.has_tables() => json!("not now"),
            Op::SetValuesSchema(_) if self.depth > 0 && self.world.store.has_values() => json!("not now"),
            write => perform(&self.world.store, write),
        }
    }

    /// The steps up to the end of the transaction that begins.
    fn transaction(&mut self, begin: Begin) -> Value {
        self.depth += 1;
        let store = self.world.store.clone();
        let heard = &self.world.heard;
        let mut end = End::Commit;
        let take_back = |end| {
            heard.taken_back.store(end == End::DoRollback, Ordering::Relaxed);
            end == End::DoRollback
        };
        let result = match begin {
            Begin::Call => {
                let last = Cell::new(End::Commit);
                let result = store.transaction_or_rollback(
                    |_| {
                        last.set(self.steps_of_transaction());
                        match last.get() {
                            End::Fail => Err(Error::new(ErrorKind::Invalid, "no")),
                            _ => Ok(()),
                        }
                    },
                    |_| take_back(last.get()),
                );
                end = last.get();
                result
            }
            Begin::ByHand => store.start_transaction().and_then(|transaction| {
                end = self.steps_of_transaction();
                transaction.finish_or_rollback(|_| take_back(end))
            }),
        };
        heard.taken_back.store(false, Ordering::Relaxed);
        self.depth -= 1;
        let outermost = self.depth == 0;
        if result.is_err() || (outermost && end == End::DoRollback) { json!("undone") } else { json!("kept") }
    }

    fn steps_of_transaction(&mut self) -> End {
        self.told(json!("begun"), StepKind::Inside);
        while let Some(op) = self.steps.next() {
            match op {
                Op::End((end,)) => return *end,
                op => self.step(op),
            }
        }
        End::Commit
    }

    /// Empties the store and fills it again, cell by cell: so that ids of deleted rows are forgotten on both sides, and
    /// TinyBase is again what it was, which its own rollback does not always see to.
    fn rebuild(&mut self, before: &Content) {
        let World { store, heard } = self.world;
        heard.muted.store(true, Ordering::Relaxed);
        let rebuilt = || -> Result<()> {
            store.del_tables()?;
            store.del_values()?;
            for (table_id, table) in &before.tables {
                for (row_id, row) in table {
                    for (cell_id, cell) in row {
                        let mut changes = Changes::new();
                        changes.set_cell(table_id, row_id, cell_id, cell.clone());
                        store.apply_changes(&changes)?;
                    }
                }
            }
            for (value_id, value) in &before.values {
                let mut changes = Changes::new();
                changes.set_value(value_id, value.clone());
                store.apply_changes(&changes)?;
            }
            Ok(())
        };
        rebuilt().expect("nothing here can be refused");
        heard.muted.store(false, Ordering::Relaxed);
        self.told(json!("rebuilt"), StepKind::Rebuilt);
    }
}

impl Heard {
    /// Takes note of a call, and does what the listener is to do.
    pub(crate) fn call(&self, store: &Store, kind: Kind, does: &Does, call: Value) {
        if self.muted.load(Ordering::Relaxed) {
            return;
        }
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        match does {
            Does::Nothing => {}
            _ if kind == Kind::WillFinishTransaction && self.taken_back.load(Ordering::Relaxed) => {}
            Does::Write(ops) => ops.iter().for_each(|op| drop(perform(store, op))),
            // Without the message that a panic prints.
            Does::Fail => resume_unwind(Box::new(Failed)),
        }
    }
}

/// Does one write, and tells what came of it.
fn perform(store: &Store, op: &Op) -> Value {
    let done = match op {
        Op::SetCell(t, r, c, cell) => store.set_cell(t.as_str(), r.as_str(), c.as_str(), self::cell(cell)),
        Op::DelCell(t, r, c) => store.del_cell(t, r, c),
        Op::SetRow(t, r, row) => store.set_row(t.as_str(), r.as_str(), self::row(row)),
        Op::SetPartialRow(t, r, row) => store.set_partial_row(t.as_str(), r.as_str(), self::row(row)),
        Op::AddRow(t, row, reuse) => {
            let added = match reuse {
                true => store.add_row(t.as_str(), self::row(row)),
                false => store.add_row_with_new_id(t.as_str(), self::row(row)),
            };
            return added.map_or_else(|_| json!("refused"), |id| json!(["added", id.as_str()]));
        }
        Op::DelRow(t, r) => store.del_row(t, r),
        Op::SetTable(t, table) => store.set_table(t.as_str(), &content(&json!({"": table}), &json!({})).tables[""]),
        Op::DelTable((t,)) => store.del_table(t),
        Op::SetTables((tables,)) => store.set_tables(&content(tables, &json!({})).tables),
        Op::DelTables(()) => store.del_tables(),
        Op::SetValue(v, value) => store.set_value(v.as_str(), cell(value)),
        Op::DelValue((v,)) => store.del_value(v),
        Op::SetValues((values,)) => store.set_values(row(values)),
        Op::SetPartialValues((values,)) => store.set_partial_values(row(values)),
        Op::DelValues(()) => store.del_values(),
        Op::SetContent((halves,)) => store.set_content(&content(&halves[0], &halves[1])),
        Op::ApplyChanges((changes,)) => store.apply_changes(&self::changes(changes)),
        Op::SetJson((text,)) => store.set_json(text).map(drop),
        Op::SetTablesJson((text,)) => store.set_tables_json(text).map(drop),
        Op::SetValuesJson((text,)) => store.set_values_json(text).map(drop),
        Op::SetTablesSchema((schema,)) => {
            TablesSchema::from_json(&schema.to_string()).and_then(|schema| store.set_tables_schema(schema.value))
        }
        Op::DelTablesSchema(()) => store.del_tables_schema(),
        Op::SetValuesSchema((schema,)) => {
            ValuesSchema::from_json(&schema.to_string()).and_then(|schema| store.set_values_schema(schema.value))
        }
        Op::DelValuesSchema(()) => store.del_values_schema(),
        Op::SortedRowIds(t, c, descending, offset, limit) => {
            let mut sort = c.as_deref().map_or_else(Sort::by_row_id, Sort::by_cell).with_offset(*offset);
            if *descending {
                sort = sort.descending();
            }
            if let Some(limit) = limit {
                sort = sort.with_limit(*limit);
            }
            return match c.as_deref().is_none_or(|cell_id| is_ordered(store, t, cell_id)) {
                true => show::ids(&store.sorted_row_ids(t, &sort)),
                false => json!("no order"),
            };
        }
        // No writes: a listener does none of them.
        Op::Begin(_) | Op::End(_) | Op::Listen(_) | Op::Unlisten(_) => Ok(()),
    };
    done.map_or_else(|_| json!("refused"), |()| Value::Null)
}

/// Whether JavaScript's `<` puts the rows of a table into an order: not where numbers meet texts, or objects.
fn is_ordered(store: &Store, table_id: &str, cell_id: &str) -> bool {
    let cells: Vec<_> = store.row_ids(table_id).iter().map(|row_id| store.cell(table_id, row_id, cell_id)).collect();
    let kind = |cell: &Option<roommate::Cell>| cell.as_ref().map_or(CellKind::Null, roommate::Cell::kind);
    cells.iter().all(|cell| kind(cell) == CellKind::String)
        || cells.iter().all(|cell| matches!(kind(cell), CellKind::Null | CellKind::Boolean | CellKind::Number))
}

/// The patterns of a listener, one for each id that its kind has.
pub(crate) fn pattern(Listen { ids, .. }: &Listen, index: usize) -> Pattern {
    ids.get(index).and_then(Option::as_deref).map_or(ANY, Pattern::from)
}

fn in_order_of_ids(content: Content) -> Content {
    fn sorted<V>(map: impl IntoIterator<Item = (Id, V)>) -> Vec<(Id, V)> {
        let mut pairs: Vec<_> = map.into_iter().collect();
        pairs.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        pairs
    }
    let row = |(id, row): (Id, Row)| (id, sorted(row).into_iter().collect::<Row>());
    let table = |(id, table): (Id, Table)| (id, sorted(table).into_iter().map(row).collect::<Table>());
    Content {
        tables: sorted(content.tables).into_iter().map(table).collect(),
        values: sorted(content.values).into_iter().collect(),
    }
}

/// Data as JavaScript would have it: ids that are array indices come first.
fn content(tables: &Value, values: &Value) -> Content {
    let read = Content::from_json(&json!([tables, values]).to_string()).expect("scripts have well-formed content");
    assert_eq!(read.unrepresentable, 0);
    read.value
}

fn cell(cell: &Value) -> roommate::Cell {
    row(&json!({"": cell})).remove("").expect("it was put there")
}

fn row(row: &Value) -> Row {
    content(&json!({}), row).values
}

fn changes(changes: &Value) -> Changes {
    let read = Changes::from_json(&changes.to_string()).expect("scripts have well-formed changes");
    assert_eq!(read.unrepresentable, 0);
    read.value
}
