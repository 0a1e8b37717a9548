//! For stories: a folder as Kubernetes mounts a ConfigMap.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Mounts a version: links to a hidden folder, which is swapped in one step.
pub(super) fn config_map(folder: &Path, version: u32, files: &[(&str, &str)]) {
    let hidden = format!("..version_{version}");
    for (name, content) in files {
        let path = folder.join(&hidden).join(name);
        fs::create_dir_all(folder.join(&hidden)).unwrap();
        fs::write(path, content).unwrap();
    }
    symlink(&hidden, folder.join("..data_tmp")).unwrap();
    fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    for (name, _) in files {
        // The link is there already when its content is replaced.
        let _ = symlink(format!("..data/{name}"), folder.join(name));
    }
    let _ = fs::remove_dir_all(folder.join(format!("..version_{}", version - 1)));
}
