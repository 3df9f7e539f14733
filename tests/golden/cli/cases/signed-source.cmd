# a signed document whose signature is broken is used nowhere, where a key is trusted
openssl pkey -in owner.pem -pubout -out owner.pub; openssl pkey -in id.pem -pubout -out id.pub
mkdir keys; cp owner.pub keys/owner.pem; chmod 755 keys; chmod 644 keys/owner.pem; printf "[reference]\ntrusted-keys = $PWD/keys\n[paths]\nstate-directory = $PWD/state\n" >signed.conf; chmod 644 signed.conf
virt-attest reference snp.xml --output plain.json; virt-attest reference-sign --key owner.pem plain.json --output signed.json; virt-attest reference-sign --key id.pem plain.json --output stranger.json
python3 -c "import base64,json; d=json.load(open('signed.json')); p=base64.b64decode(d['payload']).replace(b'0x30000', b'0x20000'); d['payload']=base64.b64encode(p).decode(); json.dump(d, open('bad.json','w'))"
sed 's/"sig" : ".\{4\}/"sig" : "AAAA/' signed.json >broken.json
virt-attest --config signed.conf reference signed.json | cmp - plain.json && echo same
virt-attest --config signed.conf reference bad.json
virt-attest --config signed.conf reference - <bad.json
virt-attest --config signed.conf reference broken.json
virt-attest --config signed.conf reference stranger.json
virt-attest --config signed.conf reference-diff snp.xml bad.json
virt-attest --config signed.conf export --to json bad.json
virt-attest --config signed.conf id-block --domain ./bad.json --id-key id.pem --output-dir out; ls out
virt-attest --config signed.conf id-block-verify --domain ./bad.json --id-block garbage --id-auth garbage
# one that nobody has signed is no signed one
virt-attest --config signed.conf reference plain.json | cmp - plain.json && echo same
# nobody is trusted: it is said that nobody looked
virt-attest reference broken.json | cmp - plain.json && echo same
virt-attest -q reference broken.json | cmp - plain.json && echo same
chmod 777 keys; virt-attest --config signed.conf reference signed.json; chmod 755 keys
# bundles: bundle-verify with its own key, too
virt-attest -q bundle snp.xml --reference signed.json --output signed.tar && virt-attest -q bundle snp.xml --reference broken.json --output broken.tar
virt-attest --config signed.conf bundle snp.xml --reference broken.json --output never.tar; ls never.tar
virt-attest --config signed.conf reference signed.tar | cmp - plain.json && echo same
virt-attest --config signed.conf reference broken.tar
virt-attest --config signed.conf bundle broken.tar --sign-key owner.pem --output never.tar; ls never.tar
virt-attest bundle broken.tar --sign-key owner.pem --output never.tar; ls never.tar
virt-attest reference broken.tar | cmp - plain.json && echo same
virt-attest -q bundle-verify --key owner.pub signed.tar | grep signature
virt-attest -q bundle-verify --key owner.pub broken.tar | grep signature
virt-attest --config signed.conf bundle-define --print-xml --key owner.pub signed.tar | grep -c '<name>snp</name>'
virt-attest --config signed.conf bundle-define --print-xml --key id.pub signed.tar
# another signature: over a document that nobody has changed
virt-attest reference-sign --key owner.pem bad.json
virt-attest reference-sign --key owner.pem --output again.json - <broken.json; ls again.json
virt-attest --config signed.conf reference-sign --key id.pem bad.json
virt-attest reference-sign --key id.pem bad.json >both.json
virt-attest --config signed.conf reference-sign --key id.pem signed.json >both.json; virt-attest -q reference-verify --key id.pub both.json | head -2
virt-attest --config signed.conf reference-sign --key owner.pem --output again.json stranger.json; ls again.json
# define --print-xml pins nothing: it takes what is not signed, and not what is signed badly
virt-attest --config signed.conf define --print-xml --reference broken.json snp.xml
virt-attest --config signed.conf define --print-xml --reference stranger.json snp.xml
virt-attest --config signed.conf define --print-xml --reference signed.json snp.xml | grep -c attest:measurement
virt-attest --config signed.conf define --print-xml --reference plain.json snp.xml | grep -c attest:measurement
virt-attest --config signed.conf define --print-xml snp.xml | grep -c attest:measurement
# a policy that gives the guest away, in documents too
virt-attest reference --allow-debug debug.xml --output debug.json; virt-attest reference debug.json
virt-attest reference --allow-debug debug.json | cmp - debug.json && echo same
virt-attest reference-sign --key owner.pem debug.json
virt-attest reference-sign --key owner.pem --allow-debug debug.json | grep -c payloadType
virt-attest id-block --domain ./debug.json --id-key id.pem --output-dir debug; ls -d debug
virt-attest -q id-block --domain ./debug.json --id-key id.pem --output-dir debug --allow-debug | grep policy
virt-attest -q id-block-verify --id-block debug/id-block.bin --id-auth debug/id-auth.bin --domain ./debug.json | tail -n 6
virt-attest -q id-block-verify --id-block debug/id-block.bin --id-auth debug/id-auth.bin --domain ./debug.json --allow-debug | tail -n 4
