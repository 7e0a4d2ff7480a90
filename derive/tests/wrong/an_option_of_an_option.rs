use roommate::Row;

#[derive(Row)]
struct Pet {
    name: Option<Option<String>>,
}

fn main() {}
