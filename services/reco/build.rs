//! Rebuilds the service when a migration is added or changed: they are built into the binary.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations/reco");
}
