use roommate::Row;

#[derive(Row)]
struct Pet {
    name: String,
    #[row(rename = "name")]
    title: String,
}

fn main() {}
