use roommate::Row;

struct Chip(u64);

#[derive(Row)]
struct Pet {
    name: String,
    chip: Chip,
    tags: Vec<String>,
}

fn main() {}
