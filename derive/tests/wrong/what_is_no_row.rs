use roommate::Row;

#[derive(Row)]
struct Tuple(String, u8);

#[derive(Row)]
struct Unit;

#[derive(Row)]
struct Empty {}

#[derive(Row)]
struct Skipped {
    #[row(skip)]
    seen: bool,
}

#[derive(Row)]
enum Species {
    Dog,
}

#[derive(Row)]
struct Borrowed<'a> {
    name: &'a str,
}

fn main() {}
