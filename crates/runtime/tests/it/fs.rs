//! Files of the real machine.

use std::os::unix::fs::PermissionsExt;

use pocket_runtime::fs::{self, Lock, LockError};

#[test]
fn what_is_written_is_read_and_no_temporary_file_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/er/file");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write_atomic(&path, b"one").unwrap();
    fs::write_atomic(&path, b"two").unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "two");
    assert_eq!(fs::list(path.parent().unwrap()).unwrap(), std::slice::from_ref(&path));
    assert_eq!(fs::length(&path).unwrap(), 3);
    assert!(fs::exists(&path));
    fs::remove_file(&path).unwrap();
    assert!(!fs::exists(&path));
    assert!(fs::remove_file(&path).unwrap_err().is_not_found());
}

#[test]
fn errors_name_the_operation_and_the_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent");
    let error = fs::read_to_string(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("failed to read `{}`", path.display()));
    assert!(error.is_not_found());
    let line = pocket_runtime::process::chain(&error);
    assert!(line.ends_with("No such file or directory (os error 2)"), "{line}");
    fs::write_atomic(&path, &[0xff]).unwrap();
    let line = pocket_runtime::process::chain(&fs::read_to_string(&path).unwrap_err());
    assert!(line.ends_with("it is not UTF-8 text"), "{line}");
    assert!(fs::write_atomic(folder.path().join("no/folder"), b"").is_err());
}

#[test]
fn a_private_file_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    fs::write_private(&path, b"secret").unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_append_file_grows_is_cut_and_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut file = fs::append(&path).unwrap();
    assert!(file.is_empty());
    file.write_all(b"first,second").unwrap();
    file.sync_data().unwrap();
    file.sync_handle().unwrap().sync_data().unwrap();
    assert_eq!(file.read_at(6, 6).unwrap(), b"second");
    assert!(file.read_at(6, 7).is_err());
    file.truncate(6).unwrap();
    file.write_all(b"third").unwrap();
    drop(file);
    let file = fs::append(&path).unwrap();
    assert_eq!(file.len(), 11);
    assert_eq!(fs::read(&path).unwrap(), b"first,third");
}

#[test]
fn a_lock_is_held_once_and_tells_who_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lock");
    let held = Lock::exclusive(&path, "pid 7, admin 127.0.0.1:6060").unwrap();
    let refused = Lock::exclusive(&path, "me").unwrap_err();
    assert!(refused.to_string().contains("(pid 7, admin 127.0.0.1:6060)"), "{refused}");
    assert!(matches!(refused, LockError::Held { .. }));
    assert_eq!(fs::read_to_string(&path).unwrap(), "pid 7, admin 127.0.0.1:6060");
    drop(held);
    Lock::exclusive(&path, "me").unwrap();
}
