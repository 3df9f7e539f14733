virt-attest complete -- ''
virt-attest complete -- me
virt-attest complete -- --
virt-attest complete -- measure --ou
virt-attest complete -- measure --output-format ''
virt-attest complete -- measure --output-format b
virt-attest complete -- measure --output-format=b
virt-attest complete -- measure --vcpu-type EPYC-M
virt-attest complete -- level te
virt-attest complete -- -c test:///default level ''
virt-attest complete -- --connect test:///default show --domain t
virt-attest complete -- level test t
virt-attest complete -- help lev
virt-attest complete -- nosuch ''
virt-attest complete -- -c 'qemu+unix:///system?socket=/nosuch/socket' level ''
virt-attest complete --
virt-attest complete
