virt-attest id-block --domain snp.xml --id-key id.pem --author-key author.pem --family-id 000102030405060708090a0b0c0d0e0f --image-id ffeeddccbbaa99887766554433221100 --svn 7 --output-dir out
wc -c out/*; base64 -d out/id-block.base64 | cmp - out/id-block.bin; base64 -d out/id-auth.base64 | cmp - out/id-auth.bin
od -An -tx1 -w16 -j48 out/id-block.bin
virt-attest id-block-verify --domain snp.xml --id-block out/id-block.bin --id-auth out/id-auth.bin --id-key id.pem --author-key $(cat author.digest)
echo >>out/id-auth.base64; virt-attest id-block-verify --id-block out/id-block.base64 --id-auth out/id-auth.base64
virt-attest id-block-verify --domain snp.xml --id-block out/id-block.bin --id-auth out/id-auth.bin --format json
openssl pkey -in other.pem -pubout -out other.pub; virt-attest id-block-verify --domain hotplug.xml --id-block out/id-block.bin --id-auth out/id-auth.bin --id-key other.pub --author-key id.pem
# the same files again, and over them
virt-attest id-block --domain snp.xml --id-key id.pem --output-dir out
virt-attest id-block --domain snp.xml --id-key id.pem --output-dir out --force --format json | grep -v -e '"idBlock"' -e idAuth -e idBlockSha256
virt-attest -q id-block-verify --domain snp.xml --id-block out/id-block.bin --id-auth out/id-auth.bin --author-key author.pem
# base64 in lines, and with the line ends of others
base64 -w 60 out/id-auth.bin >wrapped; base64 -w 31 out/id-block.bin | sed 's/$/\r/' >wrapped-block; virt-attest -q id-block-verify --domain snp.xml --id-block wrapped-block --id-auth wrapped
sed 's/^./*/' wrapped >bad; virt-attest -q id-block-verify --id-block wrapped-block --id-auth bad
# one run after the other: it waits as long as another one has the folder
mkdir locked; flock locked timeout 3 virt-attest id-block --domain snp.xml --id-key id.pem --output-dir locked; echo $?; ls locked; virt-attest -q id-block --domain snp.xml --id-key id.pem --output-dir locked >/dev/null; ls locked
# what the domain says itself
virt-attest id-block --domain snp.xml --cpu EPYC-Genoa --vcpus 3 --id-key id.pem --output-dir choice | head -1
virt-attest -q id-block --domain snp.xml --cpu EPYC-Milan --vcpus 2 --id-key id.pem --output-dir choice --force | head -1
virt-attest id-block --domain snp.xml --cpu '' --id-key id.pem --output-dir choice --force
# a private key that is not taken
openssl pkey -in id.pem -aes256 -passout pass:one -out id.enc; cp id.pem open.pem; chmod 600 id.enc; chmod 644 open.pem
virt-attest id-block-verify --id-block wrapped-block --id-auth wrapped --id-key id.enc
virt-attest id-block-verify --id-block wrapped-block --id-auth wrapped --id-key open.pem
# a damaged page
cp out/id-auth.bin bad; printf '\001' | dd of=bad bs=1 seek=3000 conv=notrunc 2>/dev/null; virt-attest -q id-block-verify --id-block out/id-block.bin --id-auth bad
# one of several measurements
virt-attest id-block --domain host-model.xml --id-key id.pem --output-dir several
virt-attest id-block --domain host-model.xml --cpu EPYC-Genoa --vcpus 3 --id-key id.pem --output-dir several | head -1
virt-attest reference host-model.xml --vcpus 1,2,3 --output fleet.json; virt-attest id-block --domain ./fleet.json --cpu EPYC-Turin --vcpus 1 --id-key id.pem --output-dir fleet | head -1
virt-attest id-block --domain ./fleet.json --cpu EPYC-Turin --id-key id.pem --output-dir fleet --force
virt-attest id-block-verify --domain ./fleet.json --id-block fleet/id-block.bin --id-auth fleet/id-auth.bin --quiet
# policies
virt-attest -q id-block --domain debug.xml --id-key id.pem --output-dir debug
virt-attest -q id-block --domain debug.xml --id-key id.pem --output-dir debug --allow-debug | grep policy
virt-attest id-block --domain snp.xml --policy smt,single-socket,abi=1.55 --id-key id.pem --output-dir policy | grep policy
virt-attest id-block --domain snp.xml --policy 0x10000 --id-key id.pem --allow-debug --output-dir reserved
ls -d debug policy reserved several
# encrypted keys: one line of the descriptor for each
openssl pkey -in id.pem -aes256 -passout pass:one -out id.enc; openssl pkey -in author.pem -aes256 -passout pass:two -out author.enc; chmod 600 *.enc
printf 'one\ntwo\n' | virt-attest id-block --measurement $(cat other.digest) --id-key id.enc --author-key author.enc --passphrase-fd 0 --output-dir encrypted | grep key:
printf 'two\none\n' | virt-attest id-block --measurement $(cat other.digest) --id-key id.enc --author-key author.enc --passphrase-fd 0 --output-dir encrypted2
virt-attest id-block --measurement $(cat other.digest) --id-key id.enc --output-dir encrypted2
