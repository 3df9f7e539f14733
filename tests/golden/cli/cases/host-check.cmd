# A configuration that cannot be read is a row like any other.
virt-attest --config unknown-key.conf host-check --root . > rows; echo $?; grep -A1 config-file rows
virt-attest host-check --root . > rows; echo $?; grep config-file rows
virt-attest host-check --root nosuch
