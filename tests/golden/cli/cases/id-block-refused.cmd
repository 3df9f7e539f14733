virt-attest id-block
virt-attest id-block --output-dir out
virt-attest id-block --id-key id.pem --output-dir out
virt-attest id-block --measurement 00 --domain snp.xml --id-key id.pem --output-dir out
virt-attest id-block --measurement 00 --id-key id.pem --output-dir out
virt-attest id-block --measurement $(cat id.digest) --cpu EPYC --id-key id.pem --output-dir out
virt-attest id-block --measurement $(cat id.digest) --id-key id.pem --family-id 00 --output-dir out
virt-attest id-block --measurement $(cat id.digest) --id-key id.pem --svn 4294967296 --output-dir out
virt-attest id-block --measurement $(cat id.digest) --id-key nosuch.pem --output-dir out
chmod 644 id.pem; virt-attest id-block --measurement $(cat id.digest) --id-key id.pem --output-dir out
chmod 600 id.pem; openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.pem; virt-attest id-block --measurement $(cat id.digest) --id-key id.pem --author-key p256.pem --output-dir out
openssl pkey -in id.pem -pubout -out id.pub; chmod 600 id.pub; virt-attest id-block --measurement $(cat id.digest) --id-key id.pub --output-dir out
virt-attest id-block --domain sev.xml --id-key id.pem --output-dir out
virt-attest id-block --measurement $(cat id.digest) --id-key id.pem --output-dir nosuch/out
virt-attest id-block --measurement $(cat id.digest) --id-key id.pem --output-dir kernel
ls out
virt-attest id-block-verify
virt-attest id-block-verify --id-block kernel
virt-attest id-block-verify --id-block kernel --id-auth kernel
virt-attest id-block-verify --id-block /dev/null --id-auth kernel
virt-attest id-block-verify --domain snp.xml
virt-attest id-block-verify --id-block nosuch --id-auth nosuch
virt-attest id-block-verify --id-block kernel --id-auth kernel --cpu EPYC
head -c 96 /dev/zero >zero; head -c 4096 /dev/zero >page; virt-attest -q id-block-verify --id-block zero --id-auth page
virt-attest -q id-block-verify --id-block zero --id-auth page --id-key garbage
