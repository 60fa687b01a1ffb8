//! One crypto provider for everything: aws-lc-rs.

/// Makes it the process's default; later calls change nothing.
pub fn install() {
    // The only error is that one is installed already: it is this one, no other is in the tree.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}
