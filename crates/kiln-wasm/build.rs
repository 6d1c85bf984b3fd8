//! WebAssembly has the stack that the linker gives it, and one thread. Browsers have a stack of their own beside it, which ends
//! first: this one is for what functions keep in memory.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "wasm32") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={}", 16 << 20);
    }
}
