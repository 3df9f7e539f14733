# An empty cache, and what is asked for wrongly; nothing of it asks the network.
virt-attest certs list
virt-attest certs list --format json
virt-attest certs
virt-attest certs frob
virt-attest certs fetch
virt-attest certs fetch --product Naples
virt-attest certs fetch --product Milan --chip 00
virt-attest certs fetch --product Milan --chip 00 --tcb bootloader=4,tee=0,snp=24,microcode=219 --offline
virt-attest certs fetch --product Turin --chip 59790fb1c39f35c1 --tcb bootloader=1,tee=1,snp=4,microcode=81 --offline
virt-attest certs fetch --product Turin --chip 59790fb1c39f35c1 --tcb bootloader=1,tee=1,snp=4,microcode=81,fmc=1 --offline
virt-attest certs fetch --product Milan --offline
virt-attest certs fetch --product Milan --offline --kds http://127.0.0.1
virt-attest certs fetch --product Milan --kds ftp://127.0.0.1
virt-attest certs fetch --product Milan --kds http://user@127.0.0.1
virt-attest certs fetch --offline garbage
virt-attest certs list --kds http://127.0.0.1
virt-attest certs import garbage
virt-attest certs import nosuch
virt-attest certs export out --offline
virt-attest certs export out
virt-attest complete -- certs ''
virt-attest complete -- certs fe
