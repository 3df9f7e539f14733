# What is wrong is said, and no file is left behind.
virt-attest initrd
virt-attest initrd --level 4 --image garbage
virt-attest initrd --level 2 --image garbage --output out
virt-attest initrd --level 4 --image garbage --output out --kernel-output out
virt-attest initrd --level 4 --image nosuch.qcow2 --output out
virt-attest initrd --level 4 --image garbage --output out --kernel-output out2
virt-attest initrd --level 4 --image garbage --format qcow2 --output out
virt-attest initrd --level 4 --image . --output out
ls out out2 .out* 2>/dev/null | wc -l
