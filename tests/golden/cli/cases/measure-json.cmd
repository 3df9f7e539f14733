virt-attest measure --format json snp.xml
virt-attest --config trusted.conf measure --format json snp.xml | grep '"level" : 3,'
virt-attest measure --format json sev.xml
