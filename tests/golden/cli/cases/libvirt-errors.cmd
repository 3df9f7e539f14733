# The test driver of libvirt stands for a libvirt that answers, a socket that is not there for one that does not.
virt-attest check nosuch
virt-attest check test
virt-attest undefine nosuch
virt-attest destroy nosuch
virt-attest -c qemu+unix:///system?socket=/nosuch/socket list
virt-attest list
virt-attest list --all --format json
virt-attest show test
virt-attest level nosuch
virt-attest -c qemu+unix:///system?socket=/nosuch/socket level nosuch
touch guest; virt-attest level guest
virt-attest level --domain nosuch
