use roommate::Row;

#[derive(Row)]
#[row(rename_all = "camel")]
struct Pet {
    name: String,
}

fn main() {}
